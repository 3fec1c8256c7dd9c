/**
 * Messages and commands that must be refused, each for the reason that its file is named after. `NAME.eml` is the message,
 * `NAME.command` the command (none: an empty one), `NAME.expected` the code and the exit status, and what is said.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseCommand } from "#core/mail/submission/command.ts";
import { type PreparedSubmission, prepareSubmission, type SubmissionOptions } from "#core/mail/submission/prepare.ts";

export interface HostileSubmission {
  readonly name: string;
  readonly command: Buffer;
  /** Null where the command alone is to be refused. */
  readonly message: Buffer | null;
  readonly expected: string;
}

/** Alice, who may also send as `k3j2`. */
export const ALICE: Omit<SubmissionOptions, "envelopeFrom" | "random" | "recipients"> = {
  account: { name: "alice", domain: "example.org", aliases: new Set(["k3j2"]) },
  now: 1_800_000_000,
  threadKey: Buffer.alloc(32, 7),
};

/** The same bytes at every run; never the same ones twice in a run. */
export function countingRandom(): (bytes: number) => Uint8Array {
  let count = 0;
  return (bytes) => {
    count += 1;
    return createHash("sha256").update(`random ${count}`).digest().subarray(0, bytes);
  };
}

export function hostileSubmissions(): HostileSubmission[] {
  const folder = import.meta.dirname;
  const files = new Set(readdirSync(folder));
  const read = (name: string): Buffer | null => (files.has(name) ? readFileSync(join(folder, name)) : null);
  const names = [...files].filter((file) => /\.(eml|command)$/.test(file)).map((file) => file.replace(/\.[a-z]+$/, ""));
  return [...new Set(names)].sort().map((name) => ({
    name,
    command: read(`${name}.command`) ?? Buffer.alloc(0),
    message: read(`${name}.eml`),
    expected: read(`${name}.expected`)?.toString("utf8") ?? "",
  }));
}

/** What the service will do with it; null for a command without a message. */
export function submit({
  command,
  message,
}: Pick<HostileSubmission, "command" | "message">): PreparedSubmission | null {
  const parsed = parseCommand(command.toString("latin1"));
  if (message === null || (parsed.verb !== "send" && parsed.verb !== "send-anyway")) return null;
  const { envelopeFrom, recipients } = parsed;
  return prepareSubmission(message, { ...ALICE, random: countingRandom(), envelopeFrom, recipients });
}
