/** Hands a signed state in at `keys` and waits for what becomes of it. */

import { parseChain } from "#core/account/chain.ts";
import { HostError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import type { SftpConnection } from "#host/sftp.ts";
import { type Answer, handIn, readAnswer, readShownChain } from "./account-files.ts";
import type { AccountMemory } from "./memory.ts";

const ANSWER_SECONDS = 10;
const SHOWN_SECONDS = 10;
const POLL_MS = 150;

/** @returns the answer; null when none came in time */
export async function submit(sftp: SftpConnection, base: string, signed: Buffer): Promise<Answer | null> {
  await handIn(sftp, base, signed);
  const end = performance.now() + ANSWER_SECONDS * 1000;
  let last: Answer | null = null;
  while (performance.now() < end) {
    await pause(POLL_MS);
    last = (await readAnswer(sftp, base, signed)) ?? last;
    if (last !== null && last.code !== "PENDING") return last;
  }
  return last;
}

/**
 * Waits until a machine shows a version, and remembers what it shows.
 * @returns false when it did not in time
 * @throws VerifyError when it shows what does not hold
 */
export async function waitUntilShown(
  sftp: SftpConnection,
  base: string,
  machine: string,
  version: number,
  memory: AccountMemory,
): Promise<boolean> {
  const end = performance.now() + SHOWN_SECONDS * 1000;
  let size = -1;
  for (;;) {
    const shown = await readShownChain(sftp, base, async (found) => found === size);
    if (shown !== null && shown !== "unchanged") {
      size = shown.size;
      await memory.learn(machine, shown.bytes, unixTime());
      if (parseChain(shown.bytes).length >= version) return true;
    }
    if (performance.now() >= end) return false;
    await pause(POLL_MS);
  }
}

/** Errors after which the same may be tried again, or carried to the operator. */
export function isUnreachable(error: unknown): error is HostError {
  return error instanceof HostError && ["AUTH", "LOGIN", "NETWORK", "TIMEOUT"].includes(error.code);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}
