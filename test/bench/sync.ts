/**
 * Fetching a full mailbox over a distance: `shoal sync`, OpenSSH's `sftp` and `rsync`, the same files, the same sshd, the
 * same relay, one after the other. Ours includes login, digest check, opening, durable storing and deletion.
 */

import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "#host/exec.ts";
import { MailUser } from "#test/mail-user.ts";
import { startSshd } from "#test/sshd.ts";
import { bundle } from "#tools/build.ts";
import { startDelayRelay } from "./delay-relay.ts";

const FILES = 1000;
const MESSAGE_BYTES = 10_000;
const ONE_WAY_MS = 25;
const ROUNDS = 3;
const SFTP_FILES = 100;

/** @param options.full lets `sftp` fetch all files too, which takes minutes */
export async function benchSync(options: { full?: boolean } = {}): Promise<Record<string, number>> {
  const sshd = await startSshd();
  const relay = await startDelayRelay(sshd.port, ONE_WAY_MS);
  try {
    const user = await MailUser.create(sshd);
    await user.writeProfile({ port: relay.port, sshOptions: ["StrictHostKeyChecking=no"] });
    for (let i = 0; i < FILES; i++) await user.deliver(message(i));
    const program = (await bundle("shoal", join(sshd.folder, "dist"))).path;
    const pool = join(sshd.folder, "pool");
    await cp(user.mail, pool, { recursive: true });
    const ssh = sshCommand(user, relay.port);

    const shoal: number[] = [];
    const rsync: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await rm(user.mail, { recursive: true });
      await cp(pool, user.mail, { recursive: true });
      for (const made of ["Mail", "state"]) await rm(join(user.home, made), { recursive: true, force: true });
      shoal.push(await secondsOf(process.execPath, [program, "sync"], user.env));
      if ((await user.stored()).length !== FILES || (await user.onServer()).length > 0)
        throw new Error("mail is missing");

      const copy = join(sshd.folder, "rsync");
      await rm(copy, { recursive: true, force: true });
      rsync.push(await secondsOf("rsync", ["-a", "-e", ssh.join(" "), `${sshd.user}@127.0.0.1:${pool}/`, `${copy}/`]));
      if ((await readdir(copy)).length !== FILES) throw new Error("rsync left files out");
    }

    const sftpFiles = options.full === true ? FILES : SFTP_FILES;
    const sftpMeasured = await measureSftp(ssh.slice(1), sshd.user, pool, join(sshd.folder, "sftp"), sftpFiles);
    const shoalSeconds = median(shoal);
    const rsyncSeconds = median(rsync);
    return {
      files: FILES,
      roundTripMs: 2 * ONE_WAY_MS,
      shoalSeconds,
      rsyncSeconds,
      ratioToRsync: Math.round((shoalSeconds / rsyncSeconds) * 1000) / 1000,
      sftpFiles,
      sftpMeasuredSeconds: sftpMeasured,
      sftpSeconds: Math.round((sftpMeasured / sftpFiles) * FILES),
    };
  } finally {
    await relay.stop();
    await sshd.stop();
  }
}

function message(i: number): string {
  const head = `Message-ID: <${i}@example.com>\nFrom: bob@example.com\nSubject: number ${i}\n\n`;
  const line = `${"x".repeat(69)}\n`;
  return (head + line.repeat(MESSAGE_BYTES / 70 + 1)).slice(0, MESSAGE_BYTES - 1) + "\n";
}

/** `ssh` with the options that the other programs need to reach the relay. */
function sshCommand(user: MailUser, port: number): string[] {
  const options = ["StrictHostKeyChecking=no", `UserKnownHostsFile=${user.sshd.folder}/ignored`, "LogLevel=ERROR"];
  return [
    "ssh",
    ...["-i", user.sshd.identityFile, "-o", "IdentitiesOnly=yes"],
    ...options.flatMap((option) => ["-o", option]),
    ...["-o", `Port=${port}`],
  ];
}

async function measureSftp(
  options: string[],
  login: string,
  pool: string,
  copy: string,
  files: number,
): Promise<number> {
  const part = `${pool}-part`;
  await mkdir(copy);
  await mkdir(part);
  for (const name of (await readdir(pool)).slice(0, files)) await cp(join(pool, name), join(part, name));
  const start = performance.now();
  await exec("sftp", ["-q", ...options, "-b", "-", `${login}@127.0.0.1`], { input: `get ${part}/* ${copy}/\n` });
  return seconds(start);
}

async function secondsOf(command: string, args: string[], env?: NodeJS.ProcessEnv): Promise<number> {
  const start = performance.now();
  await exec(command, args, env === undefined ? {} : { env });
  return seconds(start);
}

function seconds(start: number): number {
  return Math.round(performance.now() - start) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

if (import.meta.main) console.log(JSON.stringify(await benchSync({ full: process.argv.includes("--full") })));
