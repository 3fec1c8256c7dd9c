/** Looks at what machines show of the account, for `show`, `history` and `sync`. */

import { complain } from "#cli/terminal.ts";
import { HostError, VerifyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { SftpConnection } from "#host/sftp.ts";
import type { Places } from "../places.ts";
import { type Profile, sshOptionsOf } from "../profile.ts";
import { fetchBase, keysBase, readShownChain } from "./account-files.ts";
import { explainRefusedLogin } from "./check-at-sync.ts";
import { deviceTarget } from "./fetch-login.ts";
import { sayLearned } from "./learned.ts";
import type { AccountMemory } from "./memory.ts";
import { chooseSigner, ownerTarget } from "./signer.ts";

/** What came of looking at one machine. */
export interface Look {
  readonly machine: string;
  /** How many versions it shows; null when that could not be seen. */
  readonly version: number | null;
  /** Why not, or what is wrong with what it shows. */
  readonly error: unknown;
}

/** Looks at where mail is, and remembers what it shows. */
export async function lookAtFetch(profile: Profile, places: Places, memory: AccountMemory): Promise<Look> {
  return await look(profile.host, async () => {
    const target = await deviceTarget(profile, places, true);
    if (target === null) throw new HostError("AUTH", "no key of this computer can log in there");
    const sftp = await SftpConnection.open(target).catch(async (cause: unknown) => {
      throw await explainRefusedLogin(cause, profile, places);
    });
    return await learnFrom(sftp, fetchBase(profile), profile.host, memory);
  });
}

/** Looks at where changes are handed in; takes a master or recovery key. */
export async function lookAtKeys(profile: Profile, places: Places, memory: AccountMemory): Promise<Look> {
  const { host } = sshOptionsOf(profile, "keys");
  return await look(host, async () => {
    const { standing } = await memory.load();
    const files = [...(profile.masters ?? []), ...(profile.recoveries ?? [])];
    const signer = await chooseSigner({ files, isGiven: false }, standing, unixTime(), places);
    const sftp = await SftpConnection.open(ownerTarget(profile, signer));
    return await learnFrom(sftp, keysBase(profile), host, memory);
  });
}

async function look(machine: string, work: () => Promise<number>): Promise<Look> {
  try {
    return { machine, version: await work(), error: undefined };
  } catch (error) {
    return { machine, version: null, error };
  }
}

async function learnFrom(sftp: SftpConnection, base: string, machine: string, memory: AccountMemory): Promise<number> {
  try {
    const shown = await readShownChain(sftp, base);
    if (shown === null || shown === "unchanged") return 0;
    const learned = await memory.learn(machine, shown.bytes, unixTime());
    sayLearned(learned, machine);
    return learned.shown;
  } finally {
    sftp.kill();
  }
}

/** Complains about what is wrong with what machines show. @returns the exit status that this gives */
export function report(looks: readonly Look[]): number {
  let status: number = EXIT.ok;
  for (const { error } of looks) {
    if (error === undefined) continue;
    complain("shoal", error);
    const isLie = error instanceof VerifyError && (error.code === "FORK" || error.code === "ROLLBACK");
    if (isLie || status === EXIT.ok) status = exitStatusOf(error);
  }
  return status;
}
