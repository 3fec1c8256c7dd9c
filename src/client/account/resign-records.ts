/**
 * Before devices leave the account: what they say that they removed, this one says again, because their own notes stop to
 * count (docs/formats/mailbox-ledger.md, "who removes a device").
 */

import { say } from "#cli/terminal.ts";
import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";
import { type Deleted, type DeletionRecord, deviceOf, doneName, openDeletions } from "#core/mailbox/deletion.ts";
import { mailName } from "#core/mailbox/entry.ts";
import { closesMailbox } from "#core/mailbox/finding.ts";
import type { Head } from "#core/mailbox/head.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { makeFolder } from "#host/files.ts";
import { type Lock, takeLock } from "#host/lock.ts";
import { SftpConnection } from "#host/sftp.ts";
import { loadKeys } from "../identities.ts";
import { loginOptions } from "../login.ts";
import { type AddressedProfile, Auditor } from "../mailbox/auditor.ts";
import { type DeviceSigner, deviceSigner } from "../mailbox/device-signer.ts";
import { MAX_LINES, markDone, writeRecord } from "../mailbox/records.ts";
import { Removal } from "../mailbox/removal.ts";
import type { Places } from "../places.ts";

const LOCK_ATTEMPTS = 40;
const LOCK_WAIT_MS = 500;

/**
 * Signs again, or says why that can't be done: a stolen device has to go either way.
 * @param leaving keys of devices, `TYPE BASE64`
 */
export async function resignRecords(
  profile: AddressedProfile,
  places: Places,
  leaving: ReadonlySet<string>,
): Promise<void> {
  try {
    const count = await resign(profile, places, leaving);
    if (count > 0) say("shoal", `signed again what was noted as removed there: ${count} of the deliveries`);
  } catch (error) {
    if (!isOurs(error)) throw error;
    say("shoal", `what was noted as removed there could not be signed again: ${error.message}`);
    say("shoal", "your other devices may therefore report some of it as MISSING: acknowledge that then");
  }
}

function isOurs(error: unknown): error is Error {
  return [FormatError, HostError, PolicyError, VerifyError].some((kind) => error instanceof kind);
}

async function resign(profile: AddressedProfile, places: Places, leaving: ReadonlySet<string>): Promise<number> {
  const keys = await loadKeys(profile.identities);
  await makeFolder(places.state, 0o700);
  const lock = await lockInTime(places.lock);
  try {
    const sftp = await SftpConnection.open(await loginOptions(profile, places, keys));
    try {
      const auditor = new Auditor(sftp, profile, places);
      const audited = await auditor.audit();
      const { result, standing, shown } = audited;
      const names = new Set([...leaving].map((key) => deviceOf(parsePublicKey(key))));
      const records = result.records.map(({ record }) => record).filter(({ device }) => names.has(device));
      if (records.length === 0 && !result.findings.some(closesMailbox)) return 0;
      if (result.head === null || result.findings.some(closesMailbox)) {
        throw new VerifyError("FORK", "the mailbox does not hold: shoal alerts");
      }
      const { head } = result;
      const lines = linesFor(records, head);
      if (lines.length === 0) return 0;
      const signer = await deviceSigner(keys, standing, places);
      if (signer === null || leaving.has(signer.key)) {
        throw new PolicyError("UNAUTHORIZED", "no key of this computer stays a device of the account");
      }
      const { removed } = await new Removal(sftp, auditor, audited).finish();
      const gone = new Set(removed.map(mailName));
      const present = new Set(shown.mail.map(({ name }) => name).filter((name) => !gone.has(name)));
      await sayAgain(sftp, auditor, signer, { account: standing.id, domain: profile.domain, head }, lines, {
        present,
        taken: shown.del.map(({ name }) => name),
      });
      return lines.length;
    } finally {
      sftp.kill();
    }
  } finally {
    lock.release();
  }
}

function linesFor(records: readonly DeletionRecord[], head: Head): Deleted[] {
  const open = openDeletions(records, head.base);
  const behind = open.find(({ seq }) => seq > head.last.seq);
  if (behind !== undefined) {
    throw new VerifyError(
      "PREV",
      `it was shown delivery ${behind.seq}, and this computer is shown ${head.last.seq} only`,
    );
  }
  return open;
}

async function sayAgain(
  sftp: SftpConnection,
  auditor: Auditor,
  signer: DeviceSigner,
  frame: { readonly account: string; readonly domain: string; readonly head: Head },
  lines: readonly Deleted[],
  folder: { readonly present: ReadonlySet<string>; readonly taken: readonly string[] },
): Promise<void> {
  const { paths, state } = auditor;
  for (let at = 0; at < lines.length; at += MAX_LINES) {
    const part = lines.slice(at, at + MAX_LINES);
    const now = auditor.now();
    const record = await writeRecord(sftp, paths, state, signer, { ...frame, now }, part, folder.taken);
    if (!part.some((one) => folder.present.has(mailName(one)))) await markDone(sftp, paths, [doneName(record)]);
  }
}

/** A round of fetching is done soon. */
async function lockInTime(path: string): Promise<Lock> {
  for (let attempt = 1; ; attempt++) {
    try {
      return takeLock(path, "another shoal for this profile");
    } catch (error) {
      if (!(error instanceof HostError && error.code === "BUSY") || attempt === LOCK_ATTEMPTS) throw error;
      await new Promise((done) => setTimeout(done, LOCK_WAIT_MS));
    }
  }
}
