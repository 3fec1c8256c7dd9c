/** The operator's word that the ledger's key signs mailboxes (docs/formats/mailbox-ledger.md, "Signers"). */

import { joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { PolicyError } from "#core/errors.ts";
import {
  MAX_SIGNERS_BYTES,
  parseSigners,
  printSigners,
  type SignerList,
  signersNamespace,
  verifySigners,
  withNewSigner,
} from "#core/mailbox/signers.ts";
import type { Operator } from "#fleet/accounts/change.ts";
import type { SignerReport } from "#fleet/accounts/ledger-machine.ts";
import { latestOf } from "#fleet/accounts/operator-copy.ts";
import { filesByKey, signAsOneOf } from "#fleet/accounts/sign.ts";

const DAY = 86_400;
const VALID_SECONDS = 60 * DAY;
/** So long keys of before go on to count: two ledgers may sign while a site changes. */
const OVERLAP_SECONDS = 6 * 3600;
/** A list that ends within this is made anew when an operator's key is at hand anyway. */
export const RENEW_BEFORE_SECONDS = 14 * DAY;

/** Signs and hands in a list where the ledger's key is not listed, or not for two weeks more. @throws as {@link certify} */
export async function certifyWhenDue(operator: Operator): Promise<void> {
  const report = await operator.ledger.signer();
  if (report.listedUntil !== null && report.listedUntil >= operator.now() + RENEW_BEFORE_SECONDS) return;
  await certifyKey(operator, report);
}

/**
 * Signs a list in which the ledger's key counts for 60 days from now, and hands it in. The directory must be in step with the
 * ledger's.
 * @returns the last second, Unix time
 * @throws PolicyError SIGNER when no operator's key is at hand, REFUSED; HostError EXEC; as `verifySigners` for a list that the ledger
 * should not have
 */
export async function certify(operator: Operator): Promise<number> {
  return await certifyKey(operator, await operator.ledger.signer());
}

async function certifyKey({ copy, ledger, keyFiles, now, say }: Operator, report: SignerReport): Promise<number> {
  const { domain } = copy.directory;
  const { operators } = latestOf(copy).record;
  const list = withNewSigner(
    listOf(report, domain, operators),
    { domain, key: report.publicKey, now: now(), validForSeconds: VALID_SECONDS },
    OVERLAP_SECONDS,
  );
  const body = printSigners(list);
  const namespace = signersNamespace(domain);
  const files = await filesByKey(keyFiles);
  // Each operator whose key is named signs: there are readers that know one of them alone.
  const named = operators.filter((key) => files.has(key));
  const signatures: string[] = [];
  for (const keys of named.length > 0 ? named.map((key) => [key]) : [operators]) {
    signatures.push(await signAsOneOf(keys, files, namespace, body));
  }
  const { code, text } = await ledger.certify(joinSigned({ body, signatures }));
  if (code !== "ACCEPTED") {
    throw new PolicyError("REFUSED", `the ledger refuses the list of keys that sign mailboxes with ${code}: ${text}`);
  }
  const until = list.signers.find(({ key }) => key === report.publicKey)?.until ?? 0;
  say(`the ledger's key signs mailboxes until ${printDay(until)}`);
  return until;
}

/**
 * The list that goes on, null for none. Where none of today's operators has signed it, nothing of it goes on but its time, which the
 * next one must be later than.
 */
function listOf({ list }: SignerReport, domain: string, operators: readonly string[]): SignerList | null {
  if (list === null) return null;
  try {
    return verifySigners(list, domain, new Set(operators));
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { domain, time: parseSigners(splitSigned(list, MAX_SIGNERS_BYTES).body).time, signers: [] };
  }
}

/** `2026-09-21`, in UTC. */
export function printDay(time: number): string {
  return new Date(time * 1000).toISOString().slice(0, 10);
}
