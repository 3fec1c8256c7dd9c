/** Hands a message over to the machine `out` by the user's own `ssh` (docs/formats/submission.md). */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostError, PolicyError, type VerifyError } from "#core/errors.ts";
import { MAX_COMMAND_CHARACTERS } from "#core/mail/submission/command.ts";
import { parseEnvelopeAddress } from "#core/mail/submission/envelope-address.ts";
import { tryExec } from "#host/exec.ts";
import { type SshOptions, sshArguments } from "#host/ssh.ts";
import { knownSshFailure } from "#host/ssh-failure.ts";

/** What is asked of `out`. */
export interface Errand {
  readonly verb: "send" | "send-anyway";
  /** Null: as in From. */
  readonly envelopeFrom: string | null;
  /** Null: those of the header. */
  readonly recipients: readonly string[] | null;
}

/** What came of it. */
export type HandOver =
  | { readonly kind: "answered"; readonly status: number; readonly stdout: string; readonly stderr: string }
  /** Surely nothing has left this computer. */
  | { readonly kind: "not-sent"; readonly error: HostError | VerifyError }
  /** The connection was lost when the other side may have had the message already. */
  | { readonly kind: "unknown"; readonly error: HostError };

/**
 * The words of a command. Each address is of the form that can't be mistaken for anything else, so no shell is ever asked
 * and nothing needs quotes.
 * @param bytes of the message: what ends before is not sent
 * @throws FormatError RECIPIENT; PolicyError USAGE when it gets too long
 */
export function printErrand({ verb, envelopeFrom, recipients }: Errand, json: boolean, bytes: number): string {
  const words: string[] = [verb, "--bytes", String(bytes)];
  if (json) words.push("--json");
  for (const address of [envelopeFrom ?? [], recipients ?? []].flat()) parseEnvelopeAddress(address);
  if (envelopeFrom !== null) words.push("-f", envelopeFrom);
  if (recipients !== null) words.push("--", ...recipients);
  return bounded(words.join(" "));
}

/** @throws FormatError RECIPIENT; PolicyError USAGE */
export function printCheck(addresses: readonly string[], json: boolean): string {
  for (const address of addresses) parseEnvelopeAddress(address);
  return bounded(["check", ...(json ? ["--json"] : []), ...addresses].join(" "));
}

function bounded(command: string): string {
  if (command.length <= MAX_COMMAND_CHARACTERS) return command;
  throw new PolicyError("USAGE", "there are too many addresses for one message", { hint: "send it in parts" });
}

/** ssh says so when the login is done; what comes later may have come after the message. */
const LOGGED_IN = /^Authenticated to /m;
/** A connection that another `ssh` holds: nothing is known of how far this one got. */
const SHARED = /mux_client|Shared connection|control socket/i;

/** @throws HostError EXEC when there is no ssh */
export async function handOver(target: SshOptions, command: string, message: Uint8Array): Promise<HandOver> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-ssh-"));
  try {
    // ssh's own words, apart from those of the other side.
    const log = join(folder, "log");
    const args = ["-E", log, "-o", "LogLevel=VERBOSE", ...sshArguments(target, null), command];
    const env = { ...process.env };
    if (target.askpass !== undefined) {
      Object.assign(env, target.askpass.env, { SSH_ASKPASS: target.askpass.program, SSH_ASKPASS_REQUIRE: "force" });
    }
    const { status, signal, stdout, stderr } = await tryExec(target.program ?? "ssh", args, {
      input: message,
      env,
      maxOutputBytes: MAX_ANSWER_BYTES,
    });
    if (status !== null && status !== CONNECTION_FAILED) {
      return { kind: "answered", status, stdout: stdout.toString("utf8"), stderr };
    }
    const said = await readFile(log, "utf8").catch(() => stderr);
    const known = signal === null && !LOGGED_IN.test(said) && !SHARED.test(said) ? knownSshFailure(target, said) : null;
    if (known !== null) return { kind: "not-sent", error: known };
    const error = new HostError("NETWORK", `the connection to "${target.host}" was lost before it answered`, {
      cause: new Error(said),
      hint: "the message may have been sent",
    });
    return { kind: "unknown", error };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const CONNECTION_FAILED = 255;
const MAX_ANSWER_BYTES = 1024 * 1024;
