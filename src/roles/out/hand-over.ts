/** A message to smtpd, once for each way that it leaves by. */

import { HostError } from "#core/errors.ts";
import type { SmtpdPool } from "./smtpd-pool.ts";
import { type Consignment, Transaction } from "./transaction.ts";

/** How mail leaves: with certificates checked, unprotected where it must be, or as DANE alone vouches for. */
export type Way = "anyway" | "dane" | "strict";

/** Recipients that smtpd has not taken the message for, and why. */
export interface Rest {
  readonly recipients: readonly string[];
  /** Those of them for which smtpd may have it. */
  readonly unknown: readonly string[];
  readonly error: Error;
}

export interface HandedOver {
  /** Recipients of transactions that smtpd answered with 250. */
  readonly accepted: readonly string[];
  /** The others; null if there are none. */
  readonly rest: Rest | null;
}

/**
 * Everything but the last dots goes first, so that whatever is refused before is refused for all.
 * @throws what smtpd answered, if it has the message for nobody
 */
export async function handOver(
  pools: Readonly<Record<Way, SmtpdPool>>,
  ways: ReadonlyMap<Way, readonly string[]>,
  { envelopeFrom, message }: Omit<Consignment, "recipients">,
): Promise<HandedOver> {
  const begun = await Promise.allSettled(
    [...ways].map(async ([way, recipients]) => {
      const transaction = await Transaction.begin(pools[way], { envelopeFrom, recipients, message });
      return { transaction, recipients };
    }),
  );
  const consignments = begun.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = begun.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    for (const { transaction } of consignments) transaction.abort();
    throw failed.reason;
  }
  const accepted: string[] = [];
  for (const [index, { transaction, recipients }] of consignments.entries()) {
    const outcome = await transaction.commit();
    if (outcome.kind === "accepted") {
      accepted.push(...recipients);
      continue;
    }
    const left = consignments.slice(index);
    for (const other of left) other.transaction.abort();
    if (outcome.kind === "refused" && accepted.length === 0) throw outcome.error;
    const all = left.flatMap((other) => other.recipients);
    return {
      accepted,
      rest: { recipients: all, unknown: outcome.kind === "unknown" ? recipients : [], error: outcome.error },
    };
  }
  if (accepted.length === 0) throw new HostError("BUSY", "there was nobody to send to");
  return { accepted, rest: null };
}
