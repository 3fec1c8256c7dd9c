/** `shoal sync` looks at the account in passing, over the connection that it has anyway. */

import { HostError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { type SftpConnection, SftpStatusError } from "#host/sftp.ts";
import type { Places } from "../places.ts";
import type { Profile } from "../profile.ts";
import { fetchBase, readChainIfShown } from "./account-files.ts";
import { whyRefused } from "./fetch-login.ts";
import { sayLearned } from "./learned.ts";
import { AccountMemory } from "./memory.ts";

/**
 * Reads the chain that the machine shows, if it is another than the one that was found good before, and checks it. A
 * server that shows none is left alone as long as this computer knows of no account there.
 * @throws VerifyError FORK, ROLLBACK, CLOCK, each time until the machine shows the known chain again
 */
export async function checkAccount(sftp: SftpConnection, profile: Profile, places: Places): Promise<void> {
  const memory = new AccountMemory(places, profile.domain ?? null);
  const machine = profile.host;
  const isKnown = (size: number, mtime: number): Promise<boolean> => memory.hasSeen(machine, size, mtime);
  const shown = await readChainIfShown(sftp, fetchBase(profile), isKnown, memory.isBlank);
  if (shown === "unchanged") return;
  if (shown === null && (await memory.load()).standing === null) return;
  const learned = await memory.learn(machine, shown?.bytes ?? Buffer.alloc(0), unixTime());
  sayLearned(learned, machine);
  if (shown !== null) await memory.noteSeen(machine, shown.size, shown.mtimeSeconds);
}

/** True for what {@link checkAccount} throws because the connection, not the account, has failed. */
export function isConnectionFailure(error: unknown): boolean {
  return error instanceof HostError || error instanceof SftpStatusError;
}

/** The error with what is known of the account, if it is a refused login. */
export async function explainRefusedLogin(error: unknown, profile: Profile, places: Places): Promise<unknown> {
  if (!(error instanceof HostError && error.code === "LOGIN")) return error;
  const known = await new AccountMemory(places, profile.domain ?? null).load();
  const hint = await whyRefused(known, profile);
  return hint === undefined ? error : new HostError("LOGIN", error.message, { cause: error, hint });
}
