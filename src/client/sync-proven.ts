/**
 * Brings a mailbox home that has a ledger: first the audit, then only what it lets through is fetched and opened, then one
 * record says what is removed.
 */

import { createHash } from "node:crypto";
import type { Standing } from "#core/account/step.ts";
import { type AuditResult, isGenuine, type ListedFile } from "#core/mailbox/audit.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { type SftpConnection, SftpStatusError } from "#host/sftp.ts";
import type { Storage } from "./mail-store.ts";
import type { Audited, Auditor } from "./mailbox/auditor.ts";
import type { DeviceSigner } from "./mailbox/device-signer.ts";
import { Removal, type Removed } from "./mailbox/removal.ts";
import { type SyncResult, syncMailbox } from "./mailbox-sync.ts";

export interface ProvenSync {
  readonly sftp: SftpConnection;
  readonly auditor: Auditor;
  readonly storage: Storage;
  /** Leave everything on the server. */
  readonly keep: boolean;
  /** The key that signs what is removed. */
  readonly signer: (standing: Standing) => Promise<DeviceSigner | null>;
  onProgress?(result: SyncResult): void;
}

export interface ProvenResult {
  readonly result: SyncResult;
  /** The last one of this run. */
  readonly audit: AuditResult;
  /** Deliveries that expired before this computer saw them. */
  readonly expiredUnseen: number;
  readonly accountError: unknown;
  /** What ended it before its time. What was stored until then is stored. */
  readonly interruption: unknown;
  /** Why mail that is safe here is still on the server; another round removes it. */
  readonly removalError: unknown;
}

/** @throws as {@link Auditor.audit}: then nothing was fetched */
export async function syncProven(sync: ProvenSync): Promise<ProvenResult> {
  const { sftp, auditor, storage, keep, signer } = sync;
  const first = await auditor.audit();
  const entries = new Map(first.result.toHash.map((entry) => [mailName(entry), entry]));
  /** Name -> digest of files that are not what their entries say. */
  const forged = new Map<string, string>();
  /** Names of files that were listed, and were not there when they were fetched. */
  const gone = new Set<string>();
  const safe: Entry[] = [];
  const removal = new Removal(sftp, auditor, first);
  const hashing = attempt(() => hashWaiting(sftp, auditor.paths.mail, first));
  const finishing = keep ? Promise.resolve(null) : attempt(() => removal.finish());
  const signing = keep ? null : attempt(() => signer(first.standing));
  const drafting = attempt(async () => {
    const key = entries.size === 0 ? null : ((await signing)?.value ?? null);
    return key === null ? null : await removal.begin(key);
  });
  const { result, interruption } = await syncMailbox({
    sftp,
    folder: auditor.paths.mail,
    storage,
    keep,
    listing: once([...entries].map(([name, { size }]) => ({ name, size }))),
    isGenuine(name, file) {
      const entry = entries.get(name);
      const digest = createHash("sha256").update(file).digest("hex");
      if (entry !== undefined && isGenuine(entry, file.length, digest)) return true;
      forged.set(name, digest);
      return false;
    },
    whenGone(name) {
      gone.add(name);
    },
    whenSafe(name) {
      const entry = entries.get(name);
      if (entry !== undefined) safe.push(entry);
    },
    ...(sync.onProgress === undefined ? {} : { onProgress: (now) => sync.onProgress?.(now) }),
  });
  const finished = await finishing;
  const hashed = await hashing;
  for (const [name, digest] of hashed.value ?? []) if (name !== mailName({ digest })) forged.set(name, digest);
  const removed = keep
    ? null
    : await attempt(async () => {
        const signed = await signing;
        if (signed?.error !== undefined) throw signed.error;
        const draft = (await drafting).value ?? null;
        const inOrder = safe.toSorted((a, b) => a.seq - b.seq);
        if (inOrder.length === 0 && draft !== null) await removal.drop(draft);
        return await removal.remove(inOrder, signed?.value ?? null, draft);
      });
  for (const each of [finished, removed]) count(result, each?.value);
  // What was forged is told after a second look, as everything is; what another device has just removed is not listed then.
  const last =
    forged.size + gone.size === 0
      ? null
      : await attempt(() => auditor.audit({ digests: forged, before: first.result }));
  const audited = last?.value ?? first;
  for (const file of last?.value?.result.toHash.map(mailName) ?? []) {
    if (gone.has(file))
      result.failed.push({ file, code: "FILE", message: "the server lists it, and says that it is not there" });
  }
  return {
    result,
    audit: audited.result,
    expiredUnseen: first.result.findings.every(({ code }) => code === "STALE") ? first.result.expiredUnseen : 0,
    accountError: audited.accountError,
    interruption: interruption ?? hashed.error ?? last?.error,
    removalError: finished?.error ?? removed?.error,
  };
}

const MAX_HASHED_BYTES = 8 * 1024 * 1024;
const MAX_HASHED_FILES = 1000;

/**
 * Digests of files that no entry names yet. One that is not what its name says is on no courier's way, and need not be waited
 * for; of what is too much at once the wait tells as well.
 */
async function hashWaiting(
  sftp: SftpConnection,
  folder: string,
  { result, shown }: Audited,
): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  let room = MAX_HASHED_BYTES;
  const waiting = shown.mail
    .filter(({ name }) => result.memory.waiting.has(name))
    .slice(0, MAX_HASHED_FILES)
    .filter(({ size }) => {
      room -= size;
      return room >= 0;
    });
  const hash = async ({ name, size }: ListedFile): Promise<void> => {
    try {
      const file = await sftp.readFile(`${folder}/${name}`, MAX_HASHED_BYTES, size);
      digests.set(name, createHash("sha256").update(file).digest("hex"));
    } catch (error) {
      // It is gone again, or is no file: what stays is found when it has waited.
      if (!(error instanceof SftpStatusError)) throw error;
    }
  };
  for (let at = 0; at < waiting.length; at += HASHED_AT_ONCE) {
    await Promise.all(waiting.slice(at, at + HASHED_AT_ONCE).map(hash));
  }
  return digests;
}

const HASHED_AT_ONCE = 16;

function count(result: SyncResult, removed: Removed | undefined): void {
  result.deleted += removed?.removed.length ?? 0;
  for (const { file, error } of removed?.failed ?? []) {
    result.failed.push({ file, code: error.code, message: error.message });
  }
}

/** What came of it; never rejects. */
async function attempt<T>(work: () => Promise<T>): Promise<{ value?: T; error?: unknown }> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}

async function* once<T>(batch: readonly T[]): AsyncGenerator<readonly T[]> {
  yield batch;
}
