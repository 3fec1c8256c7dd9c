/** Mail through the strangers: hand one over, wait until their queues are empty, read what they say and received. */

import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "#core/errors.ts";
import type { ExecOptions, ExecResult } from "#host/exec.ts";
import { dotStuffed } from "#test/corpus/dot-stuffing.ts";
import { PATIENCE_SECONDS } from "#test/until.ts";
import { eximLog } from "#test/world/exim.ts";
import { inboxMaildir } from "#test/world/machine-parts.ts";
import { postfixLog } from "#test/world/postfix.ts";
import { type Delivery, eximDeliveries, eximQueue, postfixDeliveries, postfixQueue } from "#test/world/stranger-log.ts";
import type { Stranger } from "#test/world/world.ts";

/** Runs a command as root of a machine of the test internet and gives its result, whatever its exit status. */
export type RunOnMachine = (
  machine: string,
  command: readonly string[],
  options?: ExecOptions,
) => Promise<Pick<ExecResult, "status" | "stdout" | "stderr">>;

export interface Envelope {
  from: string;
  to: readonly string[];
}

/** One connection to the stranger's own port 25: what comes from here is sent, what comes back is printed. */
const overLoopback = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/25 && { cat <&3 & cat >&3; wait; }"];

/**
 * Hands one mail to a stranger by SMTP, as a mail program on its own machine would. The bytes pass unchanged.
 * @param message CRLF line ends, before dot-stuffing; a final CRLF is added where it is missing
 * @returns the stranger's queue id
 * @throws HostError NETWORK when it takes not all of it
 */
export async function submit(
  run: RunOnMachine,
  stranger: Stranger,
  envelope: Envelope,
  message: Uint8Array,
): Promise<string> {
  const [id] = await submitAll(run, stranger, [{ envelope, message }]);
  if (id === undefined) throw new HostError("NETWORK", `"${stranger.machine}" gave no queue id`);
  return id;
}

/** Like {@link submit} for many mails in one session; the ids come in the same order. */
export async function submitAll(
  run: RunOnMachine,
  stranger: Stranger,
  mails: readonly { envelope: Envelope; message: Uint8Array }[],
): Promise<string[]> {
  const commands = mails.flatMap(({ envelope, message }) => [
    Buffer.from(
      `MAIL FROM:<${envelope.from}>\r\n${envelope.to.map((address) => `RCPT TO:<${address}>\r\n`).join("")}DATA\r\n`,
    ),
    dotStuffed(message),
  ]);
  const input = Buffer.concat([Buffer.from("EHLO localhost\r\n"), ...commands, Buffer.from("QUIT\r\n")]);
  const { stdout } = await run(stranger.machine, overLoopback, { input });
  const said = stdout.toString("latin1");
  const ids = [...said.matchAll(/^250 (?:2\.0\.0 Ok: queued as |OK id=)(\S+)\r$/gm)].map(([, id]) => id ?? "");
  const refusal = /^[45]\d\d .*$/m.exec(said)?.[0];
  if (refusal !== undefined || ids.length !== mails.length) {
    throw new HostError("NETWORK", `"${stranger.machine}" took ${ids.length} of ${mails.length} mails: ${said.trim()}`);
  }
  return ids;
}

/**
 * Hands one mail over with `sendmail`, as a person at the stranger's keyboard would: missing fields are added.
 * @param message LF line ends
 */
export async function sendmail(
  run: RunOnMachine,
  stranger: Stranger,
  { from, to }: Envelope,
  message: string | Uint8Array,
): Promise<void> {
  const { status, stderr } = await run(stranger.machine, ["sendmail", "-f", from, "-i", "--", ...to], {
    input: message,
  });
  if (status !== 0) throw new HostError("EXEC", `sendmail on "${stranger.machine}" failed: ${stderr.trim()}`);
}

/** Ids of the mails that a stranger still holds. */
export async function queue(run: RunOnMachine, stranger: Stranger): Promise<string[]> {
  const command = stranger.kind === "postfix" ? ["postqueue", "-j"] : ["exim4", "-bpr"];
  const { status, stdout, stderr } = await run(stranger.machine, command);
  if (status !== 0) throw new HostError("EXEC", `"${stranger.machine}" can't list its queue: ${stderr.trim()}`);
  const text = stdout.toString("utf8");
  return stranger.kind === "postfix" ? postfixQueue(text) : eximQueue(text);
}

/**
 * Waits until a stranger has got rid of everything.
 * @throws HostError TIMEOUT with the last lines of its log
 */
export async function waitForEmptyQueue(
  run: RunOnMachine,
  stranger: Stranger,
  { timeoutSeconds = PATIENCE_SECONDS, pauseSeconds = 0.2 } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    const ids = await queue(run, stranger);
    if (ids.length === 0) return;
    if (performance.now() > deadline) {
      const log = (await readLog(run, stranger)).slice(-2000);
      throw new HostError(
        "TIMEOUT",
        `"${stranger.machine}" still holds ${ids.length} mails after ${timeoutSeconds} s`,
        {
          hint: `the end of its log:\n${log}`,
        },
      );
    }
    await sleep(pauseSeconds * 1000);
  }
}

/** Makes a stranger try everything it holds now. */
export async function flushQueue(run: RunOnMachine, stranger: Stranger): Promise<void> {
  const command = stranger.kind === "postfix" ? ["postqueue", "-f"] : ["exim4", "-qf"];
  const { status, stderr } = await run(stranger.machine, command);
  if (status !== 0) throw new HostError("EXEC", `"${stranger.machine}" can't flush its queue: ${stderr.trim()}`);
}

/** The whole mail log of a stranger. */
export async function readLog(run: RunOnMachine, stranger: Stranger): Promise<string> {
  const path = stranger.kind === "postfix" ? postfixLog : eximLog;
  const { status, stdout, stderr } = await run(stranger.machine, ["cat", path]);
  if (status !== 0) throw new HostError("FILE", `can't read the log of "${stranger.machine}": ${stderr.trim()}`);
  return stdout.toString("utf8");
}

/** What became of the mail with that queue id (of all mails without one), try by try, in order. */
export async function deliveries(run: RunOnMachine, stranger: Stranger, id?: string): Promise<Delivery[]> {
  const log = await readLog(run, stranger);
  const all = stranger.kind === "postfix" ? postfixDeliveries(log) : eximDeliveries(log);
  return id === undefined ? all : all.filter((delivery) => delivery.id === id);
}

/** Everything that came to any address of the stranger's domain, bounces too: raw mails, LF line ends, oldest first. */
export async function inbox(run: RunOnMachine, stranger: Pick<Stranger, "machine">): Promise<Buffer[]> {
  const script =
    'cd "$1" 2>/dev/null || exit 0; for f in $(ls -tr); do printf "%s\\n" "$(wc -c < "$f")"; cat "$f"; done';
  const { status, stdout, stderr } = await run(stranger.machine, ["sh", "-c", script, "sh", `${inboxMaildir}/new`], {
    maxOutputBytes: 1024 * 1024 * 1024,
  });
  if (status !== 0) throw new HostError("FILE", `can't read the inbox of "${stranger.machine}": ${stderr.trim()}`);
  const mails: Buffer[] = [];
  for (let at = 0; at < stdout.length; ) {
    const lineEnd = stdout.indexOf("\n", at);
    const size = Number(stdout.toString("latin1", at, lineEnd));
    mails.push(stdout.subarray(lineEnd + 1, lineEnd + 1 + size));
    at = lineEnd + 1 + size;
  }
  return mails;
}
