/**
 * Holds a whole mailbox against its ledger, from the account's first signature to the last byte of each file: on the server, or
 * in a copy. Nothing is written there, nor in what this computer remembers of the mailbox; versions of the account it learns.
 */

import { createHash } from "node:crypto";
import { type Accepted, parseChain, verifySteps } from "#core/account/chain.ts";
import { parseProposal, type Standing } from "#core/account/step.ts";
import { VerifyError } from "#core/errors.ts";
import { type AuditResult, audit, type Shown } from "#core/mailbox/audit.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { unixTime } from "#host/clock.ts";
import { type SftpConnection, SftpStatusError } from "#host/sftp.ts";
import { fetchBase, readChainIfShown } from "../account/account-files.ts";
import { AccountMemory } from "../account/memory.ts";
import { Budget } from "../budget.ts";
import { type AddressedProfile, authKeysOfAll } from "../mailbox/auditor.ts";
import { operatorKeys } from "../mailbox/operator-keys.ts";
import { mailboxPaths } from "../mailbox/paths.ts";
import { readMailbox } from "../mailbox/read.ts";
import { MailboxState } from "../mailbox/state.ts";
import { MAX_MAIL_BYTES } from "../mailbox-sync.ts";
import type { Places } from "../places.ts";
import { type OfflineCopy, readMailOf } from "./offline-copy.ts";

export interface Verified {
  readonly result: AuditResult;
  readonly shown: Shown;
  /** By the chain that the server, or the copy, shows. */
  readonly standing: Standing;
  readonly versions: readonly Accepted[];
  /** Keys of the operator, as they were trusted. */
  readonly roots: ReadonlySet<string>;
  /** What is wrong with the account that the server shows. */
  readonly accountError: unknown;
  /** Files that the server lists and does not give: as good as not there. */
  readonly withheld: readonly Entry[];
  /** A file of `mail/` that was found genuine, once more; null if it is not there any more. */
  readonly read: (name: string) => Promise<Buffer | null>;
}

const MAX_BYTES_IN_FLIGHT = 32 * 1024 * 1024;
const MAX_FILES_IN_FLIGHT = 64;

/** Reads all that the server has. What this computer remembers counts, too; it is not changed. */
export async function verifyServer(
  sftp: SftpConnection,
  profile: AddressedProfile,
  places: Places,
  onProgress: (done: number, total: number) => void,
): Promise<Verified> {
  const roots = await operatorKeys(profile, profile.domain);
  const paths = mailboxPaths(profile);
  const digests = new Map<string, string>();
  const look = async (before?: AuditResult): Promise<Verified> => {
    const { shown, account } = await readMailbox(sftp, paths, () => readAccount(sftp, profile, places));
    await hashAll(sftp, paths.mail, shown.mail, digests, onProgress);
    const { standing, versions, accountError } = account;
    const memory = await new MailboxState(places).memory(standing.id);
    const formerKeys = authKeysOfAll(versions);
    const input = { ...shown, standing, formerKeys, roots, digests, memory, now: unixTime() };
    const result = audit(before === undefined ? input : { ...input, before });
    const read = (name: string): Promise<Buffer | null> =>
      ifGiven(sftp.readFile(`${paths.mail}/${name}`, MAX_MAIL_BYTES));
    return { result, withheld: result.toHash, shown, standing, versions, roots, accountError, read };
  };
  const first = await look();
  // A file that went between the listing and the reading is no longer listed when it is looked for again.
  return first.result.readAgain || first.result.toHash.length > 0 ? await look(first.result) : first;
}

/** The chain as it is shown, every signature from the first on, and compared with what this computer knows. */
async function readAccount(
  sftp: SftpConnection,
  profile: AddressedProfile,
  places: Places,
): Promise<{ standing: Standing; versions: readonly Accepted[]; accountError: unknown }> {
  const memory = new AccountMemory(places, profile.domain);
  const shown = await readChainIfShown(sftp, fetchBase(profile));
  const bytes = shown === null || shown === "unchanged" ? Buffer.alloc(0) : shown.bytes;
  let accountError: unknown;
  try {
    await memory.learn(profile.host, bytes, unixTime());
  } catch (error) {
    if (!(error instanceof VerifyError)) throw error;
    accountError = error;
  }
  const { standing, versions } = await memory.load();
  if (standing !== null) return { standing, versions, accountError };
  if (accountError !== undefined) throw accountError;
  throw new VerifyError("ACCOUNT", `"${profile.host}" shows no account, so nothing proves its mail`, {
    hint: "if the operator has just added the account, try again in a minute; else tell the operator",
  });
}

async function hashAll(
  sftp: SftpConnection,
  folder: string,
  listed: Shown["mail"],
  digests: Map<string, string>,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const bytes = new Budget(MAX_BYTES_IN_FLIGHT);
  const files = new Budget(MAX_FILES_IN_FLIGHT);
  let done = 0;
  const hashOne = async (name: string, size: number): Promise<void> => {
    try {
      // What is larger than any mail is not downloaded; its size tells the audit enough.
      const content =
        size > MAX_MAIL_BYTES ? null : await ifGiven(sftp.readFile(`${folder}/${name}`, MAX_MAIL_BYTES, size));
      if (content !== null) digests.set(name, createHash("sha256").update(content).digest("hex"));
    } finally {
      done += 1;
      onProgress(done, listed.length);
      bytes.release(Math.min(size, MAX_MAIL_BYTES));
      files.release(1);
    }
  };
  const work: Promise<void>[] = [];
  for (const { name, size } of listed) {
    await files.acquire(1);
    await bytes.acquire(Math.min(size, MAX_MAIL_BYTES));
    work.push(hashOne(name, size));
  }
  await Promise.all(work);
}

/** Null for what the server refuses, whatever it says of why. */
async function ifGiven(reading: Promise<Buffer>): Promise<Buffer | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof SftpStatusError) return null;
    throw error;
  }
}

/**
 * Judges a copy as of when it was made, by nothing but the operator's key and the account's id.
 * @param account null to take the account that the copy is of
 */
export function verifyCopy(
  folder: string,
  { shown, chain, digests, time }: OfflineCopy,
  domain: string,
  roots: ReadonlySet<string>,
  account: string | null,
): Verified {
  const versions = parseChain(chain);
  const standing = verifySteps(versions, domain, null);
  if (standing === null) throw new VerifyError("ACCOUNT", "the copy holds no account");
  if (account !== null && standing.id !== account) {
    throw new VerifyError("ACCOUNT", `the copy is of the account ${standing.id}, expected ${account}`);
  }
  const formerKeys = authKeysOfAll(versions);
  const input = { ...shown, standing, formerKeys, roots, digests, memory: null, now: time };
  const first = audit(input);
  // There is nothing else to be read a second time.
  const result = first.readAgain ? audit({ ...input, before: first }) : first;
  const read = (name: string): Promise<Buffer | null> => readMailOf(folder, name, MAX_MAIL_BYTES);
  return { result, withheld: result.toHash, shown, standing, versions, roots, accountError: undefined, read };
}

/** The domain that the first version of a chain says: for who has no profile. */
export function domainOf(chain: Buffer): string {
  const [first] = parseChain(chain);
  return first === undefined ? "" : parseProposal(first.signed).state.domain;
}

/** Names of sealed files that were found genuine. */
export function genuineNames({ result }: Verified): Set<string> {
  return new Set(result.mayOpen.map(mailName));
}
