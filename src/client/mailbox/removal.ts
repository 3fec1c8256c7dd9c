/** Removes mail that is safe here, says so in records, and keeps the device's records few. */

import { HostError, PolicyError } from "#core/errors.ts";
import { type DeletionRecord, deviceOf, doneName, openDeletions } from "#core/mailbox/deletion.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { noteRemoved } from "#core/mailbox/memory.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import type { SftpStatusError } from "#host/sftp.ts";
import type { Audited, Auditor } from "./auditor.ts";
import type { DeviceSigner } from "./device-signer.ts";
import {
  beginRecord,
  type Draft,
  dropDraft,
  MAX_LINES,
  markDone,
  removeFiles,
  removeRecords,
  type WritingSftp,
  writeRecord,
} from "./records.ts";

export interface Removed {
  readonly removed: readonly Entry[];
  /** Files that the server does not let go; they are removed in another round. */
  readonly failed: readonly { readonly file: string; readonly error: SftpStatusError }[];
}

/** From so many records of its own on, a device puts them together when it writes one anyway. */
const MANY_RECORDS = 5;

// BUG: a device that is killed between beginning a record and writing it leaves an empty file in `del/`, which nobody removes but
// the server's limit of that folder; it is small and says nothing.

export class Removal {
  readonly #sftp: WritingSftp;
  readonly #auditor: Auditor;
  readonly #audited: Audited;

  /** The profile's lock must be held. @param audited what was seen before anything is removed */
  constructor(sftp: WritingSftp, auditor: Auditor, audited: Audited) {
    this.#sftp = sftp;
    this.#auditor = auditor;
    this.#audited = audited;
  }

  /** Finishes what was cut off, this device's removals and those of others: files first, then marks. */
  async finish(): Promise<Removed> {
    const { toRemove, toMark, records } = this.#audited.result;
    const { removed, failed } = await this.#remove(toRemove);
    const stuck = new Set(failed.map(({ file }) => file));
    const gone = new Set(removed.map(({ seq }) => seq));
    const done = records
      .map(({ record }) => record)
      .filter((record) => record.deleted.some(({ seq }) => gone.has(seq)))
      .filter((record) => !record.deleted.some((one) => stuck.has(mailName(one))))
      .map(doneName);
    await markDone(this.#sftp, this.#auditor.paths, [...new Set([...toMark, ...done])]);
    return { removed, failed };
  }

  /**
   * Begins the record of {@link remove} while what it will name is still on its way.
   * @returns null where that is not possible now: then `remove` begins it, and says why not
   */
  async begin({ key }: DeviceSigner): Promise<Draft | null> {
    const { paths, state } = this.#auditor;
    try {
      return await beginRecord(this.#sftp, paths, state, key, this.#taken);
    } catch (error) {
      if (error instanceof HostError) return null;
      throw error;
    }
  }

  /** Takes {@link begin} back. */
  async drop(draft: Draft): Promise<void> {
    await dropDraft(this.#sftp, draft);
  }

  /**
   * Removes files of entries: a signed record, the files, the mark.
   * @param signer null where this computer is no device of the account
   * @param draft what {@link begin} has begun for this signer
   * @throws PolicyError UNAUTHORIZED, PASSPHRASE; HostError EXEC when it can't be signed: then nothing is removed
   */
  async remove(entries: readonly Entry[], signer: DeviceSigner | null, draft: Draft | null = null): Promise<Removed> {
    if (signer === null) {
      if (entries.length === 0) return { removed: [], failed: [] };
      throw new PolicyError(
        "UNAUTHORIZED",
        "no key of this computer is a device of the account, so nothing can be removed",
        {
          hint: '"shoal account show" shows the devices; name the key of one under "identities" in the profile',
        },
      );
    }
    const old = this.#ownRecords(signer);
    const open = openDeletions(old, this.#base);
    if (entries.length === 0) {
      if (open.length === 0) await removeRecords(this.#sftp, this.#auditor.paths, old);
      return { removed: [], failed: [] };
    }
    const joins = old.length >= MANY_RECORDS && open.length + entries.length <= MAX_LINES;
    const removed: Entry[] = [];
    const failed: { file: string; error: SftpStatusError }[] = [];
    for (let at = 0; at < entries.length; at += MAX_LINES) {
      const part = await this.#removePart(
        entries.slice(at, at + MAX_LINES),
        signer,
        joins ? open : [],
        at === 0 ? draft : null,
      );
      removed.push(...part.removed);
      failed.push(...part.failed);
    }
    const isSaidAgain = joins || open.length === 0;
    if (isSaidAgain && failed.length === 0) await removeRecords(this.#sftp, this.#auditor.paths, old);
    return { removed, failed };
  }

  async #removePart(
    entries: readonly Entry[],
    signer: DeviceSigner,
    saidBefore: ReturnType<typeof openDeletions>,
    draft: Draft | null,
  ): Promise<Removed> {
    const { paths, state } = this.#auditor;
    const { result, standing } = this.#audited;
    if (result.head === null) throw new TypeError("nothing is removed before a head was verified");
    const lines = new Map([...saidBefore, ...entries].map((one) => [one.seq, one]));
    const record = await writeRecord(
      this.#sftp,
      paths,
      state,
      signer,
      { account: standing.id, domain: standing.state.domain, head: result.head, now: this.#auditor.now() },
      [...lines.values()].sort((a, b) => a.seq - b.seq),
      this.#taken,
      draft,
    );
    const { removed, failed } = await this.#remove(entries);
    if (failed.length === 0) await markDone(this.#sftp, paths, [doneName(record)]);
    return { removed, failed };
  }

  async #remove(entries: readonly Entry[]): Promise<Removed> {
    if (entries.length === 0) return { removed: [], failed: [] };
    const { paths, state } = this.#auditor;
    const { removed, failed } = await removeFiles(this.#sftp, paths, entries);
    const { standing } = this.#audited;
    const memory = await state.memory(standing.id);
    const seqs = removed.map(({ seq }) => seq);
    if (memory !== null && seqs.length > 0) await state.remember(noteRemoved(memory, seqs));
    return { removed, failed };
  }

  get #taken(): string[] {
    return this.#audited.shown.del.map(({ name }) => name);
  }

  get #base(): { seq: number } {
    return this.#audited.result.head?.base ?? { seq: 0 };
  }

  /** This device's records whose files are all gone, as the server showed it. */
  #ownRecords(signer: DeviceSigner): DeletionRecord[] {
    const device = deviceOf(parsePublicKey(signer.key));
    const names = new Set(this.#audited.shown.del.map(({ name }) => name));
    return this.#audited.result.records
      .map(({ record }) => record)
      .filter((record) => record.device === device && names.has(doneName(record)));
  }
}
