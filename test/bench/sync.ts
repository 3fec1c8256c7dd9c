/**
 * Fetching a full mailbox over a distance: `shoal sync`, OpenSSH's `sftp` and `rsync`, the same files, the same sshd, the
 * same relay, one after the other. Ours includes login, the audit of the mailbox, opening, durable storing, and deletion
 * with its signed record.
 */

import { existsSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "#host/exec.ts";
import { MailUser } from "#test/mail-user.ts";
import { accountOf, TestLedger } from "#test/mailbox-server.ts";
import { startSshd } from "#test/sshd.ts";
import { bundle } from "#tools/build.ts";
import { startDelayRelay } from "./delay-relay.ts";

const DOMAIN = "example.org";
const FILES = 1000;
const MESSAGE_BYTES = 10_000;
const ONE_WAY_MS = 25;
const ROUNDS = 3;
const SFTP_FILES = 100;

/** @param options.full lets `sftp` fetch all files too, which takes minutes */
export async function benchSync(options: { full?: boolean } = {}): Promise<Record<string, number>> {
  // The server's disk is not this computer's: what it deletes must not slow down what is stored here.
  const sshd = await startSshd([], true, existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
  const relay = await startDelayRelay(sshd.port, ONE_WAY_MS);
  const disk = await mkdtemp(join(tmpdir(), "shoal-bench-sync-"));
  try {
    const user = await MailUser.create(sshd);
    for (let i = 0; i < FILES; i++) await user.deliver(message(i));
    const proven = await prove(user);
    const program = (await bundle("shoal", join(disk, "dist"))).path;
    const ssh = sshCommand(user, relay.port);

    const shoal: number[] = [];
    const rsync: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // Everything is new in each round: file systems are slow to reuse what was just deleted.
      const account = join(sshd.folder, `account-${round}`);
      const mail = join(account, "mail");
      await cp(proven, account, { recursive: true });
      const maildir = join(disk, `Maildir-${round}`);
      const sshOptions = ["StrictHostKeyChecking=no"];
      await user.writeProfile({ domain: DOMAIN, port: relay.port, folder: mail, maildir, sshOptions });
      const env = { ...user.env, XDG_STATE_HOME: join(disk, `state-${round}`) };
      shoal.push(await secondsOf(process.execPath, [program, "sync"], env));
      const stored = await readdir(join(maildir, "new"));
      if (stored.length !== FILES || (await readdir(mail)).length > 0) throw new Error("mail is missing");

      const copy = join(disk, `rsync-${round}`);
      rsync.push(
        await secondsOf("rsync", ["-a", "-e", ssh.join(" "), `${sshd.user}@127.0.0.1:${user.mail}/`, `${copy}/`]),
      );
      if ((await readdir(copy)).length !== FILES) throw new Error("rsync left files out");
    }

    const sftpFiles = options.full === true ? FILES : SFTP_FILES;
    const sftpMeasured = await measureSftp(ssh.slice(1), sshd.user, user.mail, join(disk, "sftp"), sftpFiles);
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
    await rm(disk, { recursive: true });
  }
}

/** Makes an account of the mail that was delivered, with its ledger. @returns its folder on the server */
async function prove(user: MailUser): Promise<string> {
  const folder = join(user.sshd.folder, "proven");
  const [type = "", base64 = ""] = (await readFile(`${user.sshd.identityFile}.pub`, "utf8")).split(" ");
  const accepted = Math.floor(Date.now() / 1000) - 3600;
  const { standing, chain } = accountOf(DOMAIN, `${type} ${base64}`, accepted);
  const ledger = new TestLedger(DOMAIN, folder);
  for (const name of await user.onServer()) await ledger.deliver(standing.id, [await readFile(join(user.mail, name))]);
  await ledger.publish(standing);
  await mkdir(join(folder, "account"));
  await writeFile(join(folder, "account/chain"), chain);
  await appendFile(user.sshd.knownHostsFile, ledger.operatorLine);
  return folder;
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
