/** Why mail did not reach its recipients: smtpd's words where they say it, else what the way to the domain looks like now. */

import { parseAddress } from "#core/mail/address.ts";
import { tlsReasonInWords } from "#core/mail/tls-reason.ts";
import type { DomainGrade, Grader } from "../grade/grader.ts";
import { type Cause, causeOf } from "./cause.ts";
import type { SmtpdRecipient } from "./smtpd-notice.ts";

export interface Diagnosis extends Cause {
  readonly address: string;
  /** Whether it could have gone if nobody had asked for protection. */
  readonly isUnprotected: boolean;
  /** Tried until its time in the queue was over. */
  readonly isGivenUp: boolean;
}

/** What smtpd says at the end of `queue ttl`. */
const GIVEN_UP = "Envelope expired";

/** Reasons of docs/formats/grades.md that have nothing to do with protection. */
const NO_SERVER = new Set(["no-such-domain", "null-mx", "dns-failure", "unreachable"]);
const STATUS: Readonly<Record<string, string>> = {
  "no-such-domain": "5.1.2",
  "null-mx": "5.1.10",
  "dns-failure": "4.4.3",
  unreachable: "4.4.1",
};
/** RFC 3463: a security feature was required and is not there. */
const UNPROTECTED_STATUS = "5.7.10";

/** In the order of the recipients. Never throws: what can't be found out is said to be unknown. */
export async function diagnose(
  recipients: readonly SmtpdRecipient[],
  grader: Pick<Grader, "grade">,
): Promise<Diagnosis[]> {
  const causes = recipients.map(({ said }) => causeOf(said));
  const domains = recipients.filter((_, index) => causes[index] === null).map(({ address }) => domainOf(address));
  const grades = await gradesOf(domains, grader);
  return recipients.map(({ address, said }, index) => {
    const cause = causes[index];
    if (cause !== null && cause !== undefined) return { ...cause, address, isUnprotected: false, isGivenUp: false };
    return { ...causeBy(grades.get(domainOf(address)), said), address, isGivenUp: said === GIVEN_UP };
  });
}

async function gradesOf(
  domains: readonly string[],
  grader: Pick<Grader, "grade">,
): Promise<ReadonlyMap<string, DomainGrade>> {
  try {
    return domains.length === 0 ? new Map() : await grader.grade(domains);
  } catch {
    // Too many ask at once; the notice is not to wait for them.
    return new Map();
  }
}

function causeBy(grade: DomainGrade | undefined, said: string): Omit<Diagnosis, "address" | "isGivenUp"> {
  if (grade === undefined) {
    const sentence = "none of its mail servers could be reached, or none in a protected way";
    return { name: "no-way", status: "4.4.0", sentence, said: null, isUnprotected: false };
  }
  if (grade.grade !== "none") {
    const tried = said === GIVEN_UP ? "whenever that was tried" : "when that was tried";
    const sentence = `none of its mail servers took it ${tried}; right now one answers as it should`;
    return { name: "no-way", status: "4.4.0", sentence, said: null, isUnprotected: false };
  }
  const { result, mx } = grade.because;
  const words = tlsReasonInWords(result);
  if (NO_SERVER.has(result)) {
    return { name: result, status: STATUS[result] ?? "4.4.0", sentence: words, said: null, isUnprotected: false };
  }
  // It may have been sent anyway: how, is known no more.
  const sentence = `none of its mail servers took it; if it had to be protected on its way, the reason is that ${words} (${result}${mx === "-" ? "" : `, ${mx}`})`;
  return { name: result, status: UNPROTECTED_STATUS, sentence, said: null, isUnprotected: true };
}

function domainOf(address: string): string {
  return parseAddress(address)?.domain ?? "";
}
