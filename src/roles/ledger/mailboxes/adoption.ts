/**
 * A mailbox as `fetch` shows it, for a ledger whose store has lost it: verified as a device would, from the operator's list of
 * signers on. Whether it is the latest one nobody can say but the devices, which remember: so this happens only when the
 * operator asks for it.
 */

import { MAX_SIGNATURE_BYTES, MAX_SIGNATURES } from "#core/account/signed-text.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { isSamePoint, nextPoint } from "#core/mailbox/chain.ts";
import { MAX_ENTRIES_BYTES, parseEntries } from "#core/mailbox/entries.ts";
import type { Entry } from "#core/mailbox/entry.ts";
import { type Head, MAX_HEAD_BYTES, verifyHead } from "#core/mailbox/head.ts";
import { MAX_SIGNERS_BYTES, verifySigners } from "#core/mailbox/signers.ts";
import type { Mailbox } from "#core/mailbox/writer.ts";
import { readCut } from "./look.ts";
import type { LedgerSftp } from "./publication.ts";

export type Adopted =
  | { readonly kind: "adopted"; readonly mailbox: Mailbox; readonly entries: readonly Entry[]; readonly head: Head }
  | { readonly kind: "lost"; readonly why: string };

/**
 * @param operators keys of the directory's operators
 * @throws SftpStatusError
 */
export async function readForAdoption(
  sftp: LedgerSftp,
  folder: string,
  account: string,
  domain: string,
  operators: readonly string[],
): Promise<Adopted> {
  const read = async (name: string, maxBytes: number): Promise<Buffer> =>
    (await readCut(sftp, `${folder}/${name}`, maxBytes)) ?? Buffer.alloc(0);
  const headBytes = await read("head", MAX_HEAD_BYTES + MAX_SIGNATURE_BYTES);
  const signersBytes = await read("signers", MAX_SIGNERS_BYTES + MAX_SIGNATURES * MAX_SIGNATURE_BYTES);
  const entriesBytes = await read("entries", MAX_ENTRIES_BYTES);
  try {
    const head = verifyHead(headBytes, domain, verifySigners(signersBytes, domain, new Set(operators)));
    if (head.account !== account) throw new VerifyError("ACCOUNT", `the head is of account "${head.account}"`);
    const { last, base } = head;
    const entries = parseEntries(entriesBytes, last.seq).filter(({ seq }) => seq > base.seq);
    const end = entries.reduce(nextPoint, base);
    if (!isSamePoint(end, last)) throw new VerifyError("PREV", "the entries are not those of the head");
    // What stood before the base is of no interest to anybody, and nothing proves it.
    const mailbox = { account, last, lastTime: entries.at(-1)?.time ?? 0, base, dropped: base };
    return { kind: "adopted", mailbox, entries, head };
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError)) throw error;
    return { kind: "lost", why: `what the machine shows can't be taken over: ${error.message}` };
  }
}
