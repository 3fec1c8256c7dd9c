/**
 * What lies on `fetch` is looked at before the first line of a mailbox is written after a start: a store that was lost, or is an old
 * copy, must not tell another history than the one that devices have seen.
 */

import { MAX_SIGNATURE_BYTES } from "#core/account/signed-text.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { isSamePoint } from "#core/mailbox/chain.ts";
import { type Head, MAX_HEAD_BYTES, verifyHead } from "#core/mailbox/head.ts";
import type { SignerList } from "#core/mailbox/signers.ts";
import type { Mailbox } from "#core/mailbox/writer.ts";
import { SftpStatusError, STATUS } from "#host/sftp.ts";
import type { LedgerSftp } from "./publication.ts";

const MAX_BYTES = MAX_HEAD_BYTES + MAX_SIGNATURE_BYTES;

export type Seen =
  /** Nobody was told anything of this mailbox. */
  | { readonly kind: "new" }
  /** The store continues what was told; the head that was told last, if it is one. */
  | { readonly kind: "kept"; readonly head: Head | null }
  /** What was told is not in the store. */
  | { readonly kind: "lost"; readonly why: string };

/**
 * @param mailbox what the store has
 * @param list whose heads count
 * @throws SftpStatusError
 */
export async function look(
  sftp: LedgerSftp,
  folder: string,
  mailbox: Mailbox | undefined,
  domain: string,
  list: SignerList | null,
): Promise<Seen> {
  const bytes = await readCut(sftp, `${folder}/head`, MAX_BYTES);
  if (mailbox === undefined) {
    return bytes === null
      ? { kind: "new" }
      : { kind: "lost", why: "there are entries on the machine that keeps the mail, and none in the store" };
  }
  const head = bytes === null || list === null ? null : verified(bytes, domain, list);
  // Whatever is not ours is written over: who has the machine may put anything there.
  if (head === null || head.account !== mailbox.account) return { kind: "kept", head: null };
  const isAhead = head.last.seq > mailbox.last.seq || head.base.seq > mailbox.base.seq;
  const isOther = head.last.seq === mailbox.last.seq && !isSamePoint(head.last, mailbox.last);
  if (!isAhead && !isOther) return { kind: "kept", head };
  const why = `a head of ${head.last.seq} entries was signed, and the store has ${mailbox.last.seq}`;
  return { kind: "lost", why: isOther ? "a head of other entries was signed than the store has" : why };
}

/** Null when there is none. What is too long comes back cut, and so is nothing that verifies. */
export async function readCut(sftp: LedgerSftp, file: string, maxBytes: number): Promise<Buffer | null> {
  try {
    const { size = 0 } = await sftp.lstat(file);
    return await sftp.readFile(file, maxBytes, Math.min(size, maxBytes));
  } catch (error) {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return null;
    throw error;
  }
}

function verified(bytes: Buffer, domain: string, list: SignerList): Head | null {
  try {
    return verifyHead(bytes, domain, list);
  } catch (error) {
    if (error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError) return null;
    throw error;
  }
}
