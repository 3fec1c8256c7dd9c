/** How the signed mailboxes are, in words for the operator. Pure. */

import type { MailboxesStanding } from "#fleet/accounts/ledger-machine.ts";
import { printDay, RENEW_BEFORE_SECONDS } from "./certify.ts";

const SHOWN_ACCOUNTS = 5;

/**
 * What keeps users from their mail, or soon will; nothing where all is well.
 * @param now Unix seconds
 */
export function ledgerWarnings({ accounts, signer, lost, lostCount }: MailboxesStanding, now: number): string[] {
  const warnings: string[] = [];
  const certify = "run `shoalctl ledger certify --key FILE`";
  // Before the first account nothing is signed; adding it certifies.
  if (accounts > 0) {
    const { listedUntil } = signer;
    if (listedUntil === null) {
      warnings.push(`the key that signs mailboxes is not certified, and clients open no mail: ${certify}`);
    } else if (listedUntil < now) {
      warnings.push(
        `the key that signs mailboxes has ended on ${printDay(listedUntil)}, and clients get no new mail: ${certify}`,
      );
    } else if (listedUntil < now + RENEW_BEFORE_SECONDS) {
      warnings.push(`the key that signs mailboxes ends on ${printDay(listedUntil)}: ${certify}`);
    }
  }
  if (lostCount > 0) {
    const more = lostCount > SHOWN_ACCOUNTS ? ` and ${lostCount - SHOWN_ACCOUNTS} more` : "";
    warnings.push(
      `the ledger has lost the lists of ${lost.slice(0, SHOWN_ACCOUNTS).join(", ")}${more}, and their mail waits on \`in\``,
    );
  }
  return warnings;
}

/** Lines for people. @param now Unix seconds */
export function describeLedger(standing: MailboxesStanding, now: number): string {
  const { mailboxes, signer, machines } = standing;
  const until = signer.listedUntil === null ? "not certified" : `until ${printDay(signer.listedUntil)}`;
  const lines = [`mailboxes ${mailboxes}`, `signer ${signer.publicKey} ${until}`];
  for (const { machine, connected, mailboxes: shown, pending, failed, lastFailure } of machines) {
    const trouble = failed > 0 && lastFailure !== null ? `; last trouble: ${lastFailure.text}` : "";
    lines.push(
      `${machine} ${connected ? "connected" : "away"}, ${shown} mailboxes, ${pending} to be written, ${failed} failed${trouble}`,
    );
  }
  return [...lines, ...ledgerWarnings(standing, now).map((text) => `! ${text}`)].map((line) => `${line}\n`).join("");
}
