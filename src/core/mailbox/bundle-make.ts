/** Makes a proof bundle of a mailbox that was audited (docs/formats/proof-bundle.md). Pure. */

import { type Accepted, printChain } from "#core/account/chain.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, VerifyError } from "#core/errors.ts";
import type { AuditResult, Shown } from "./audit.ts";
import type { Bundle } from "./bundle.ts";
import { nextPoint } from "./chain.ts";
import { verifyDeletion } from "./deletion.ts";
import { printEntries } from "./entries.ts";
import { type Entry, mailName } from "./entry.ts";
import { reasonOf } from "./judge-head.ts";

export interface Exported {
  readonly shown: Pick<Shown, "head" | "signers" | "del">;
  /** Of those bytes. */
  readonly result: Pick<AuditResult, "head" | "live">;
  /** The account's verified chain. */
  readonly versions: readonly Accepted[];
  /** What it is to be about, of the live entries; with none all of them. */
  readonly about: readonly Entry[];
  /** Sealed files that were found genuine, by digest. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/**
 * @returns what `verifyBundle` accepts by the roots that the audit was done with
 * @throws FormatError BUNDLE where no head was verified; VerifyError VERSION where the chain is older than the head
 */
export function makeBundle({ shown, result, versions, about, files }: Exported): Bundle {
  const { head, live } = result;
  if (head === null || shown.head === null || shown.signers === null) {
    throw new FormatError("BUNDLE", "bundle: there is no head, so nothing can be proved");
  }
  const known = versions.slice(0, head.state.version);
  if (known.length < head.state.version) {
    throw new VerifyError(
      "VERSION",
      `bundle: the server shows the account up to version ${known.length}, and the head names version ${head.state.version}`,
      { hint: "try again in a minute" },
    );
  }
  const first = about[0]?.seq ?? head.base.seq + 1;
  let from = head.base;
  for (const entry of live) if (entry.seq < first) from = nextPoint(from, entry);
  const chosen = about.length === 0 ? live.filter(({ seq }) => seq >= first) : about;
  const current = parseProposal(known.at(-1)?.signed ?? Buffer.alloc(0)).state;
  const mayDelete = new Set(current.devices.filter(({ auth }) => auth).map(({ key }) => key));
  return {
    guide: {
      domain: head.domain,
      account: head.account,
      from,
      about: about.map(({ seq, digest }) => ({ seq, digest })),
    },
    chain: printChain(known),
    signers: shown.signers,
    head: shown.head,
    entries: printEntries(live.filter(({ seq }) => seq >= first)),
    records: recordsOf(shown.del, head.domain, mayDelete, new Set(chosen.map(({ seq }) => seq))),
    mail: chosen.flatMap((entry) => {
      const bytes = files.get(entry.digest);
      return bytes === undefined ? [] : [{ name: mailName(entry), bytes }];
    }),
    time: head.time,
  };
}

/** Those that count and name one of the entries, sorted by name. */
function recordsOf(
  del: Shown["del"],
  domain: string,
  mayDelete: ReadonlySet<string>,
  chosen: ReadonlySet<number>,
): { name: string; bytes: Buffer }[] {
  const counts = ({ name, bytes }: Shown["del"][number]): boolean => {
    if (!/^[0-9a-f]{16}-[1-9][0-9]{0,14}$/.test(name)) return false;
    try {
      const { record, key } = verifyDeletion(bytes, domain);
      return mayDelete.has(key) && record.deleted.some(({ seq }) => chosen.has(seq));
    } catch (error) {
      // What holds nothing proves nothing; the audit has said so where it has to.
      reasonOf(error);
      return false;
    }
  };
  return del.filter(counts).sort((a, b) => (a.name < b.name ? -1 : 1));
}
