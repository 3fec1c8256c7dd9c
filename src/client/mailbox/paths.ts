/** Where the parts of a mailbox lie on the server (docs/formats/mailbox-ledger.md, "The files"). */

import { fetchBase } from "../account/account-files.ts";
import type { Profile } from "../profile.ts";

export interface MailboxPaths {
  readonly head: string;
  readonly signers: string;
  readonly entries: string;
  /** Folders. */
  readonly mail: string;
  readonly del: string;
}

export function mailboxPaths(profile: Profile): MailboxPaths {
  const base = fetchBase(profile);
  const ledger = `${base}/ledger`;
  return {
    head: `${ledger}/head`,
    signers: `${ledger}/signers`,
    entries: `${ledger}/entries`,
    mail: profile.folder.replace(/\/+$/, ""),
    del: `${base}/del`,
  };
}
