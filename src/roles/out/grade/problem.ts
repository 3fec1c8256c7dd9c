/** Why mail for a domain, or through one of its mail servers, is graded *none*: `docs/formats/grades.md` explains each. */

/** RFC 8460 section 4.3. */
export type ReportedProblem =
  | "starttls-not-supported"
  | "certificate-host-mismatch"
  | "certificate-expired"
  | "certificate-not-trusted"
  | "validation-failure"
  | "tlsa-invalid"
  | "dnssec-invalid"
  | "sts-policy-fetch-error"
  | "sts-policy-invalid"
  | "sts-webpki-invalid";

/** What RFC 8460 has no names for: no mail server was seen that could have a certificate. */
export type OwnProblem = "no-such-domain" | "null-mx" | "dns-failure" | "unreachable";

export type Problem = ReportedProblem | OwnProblem;

export interface Trouble {
  readonly problem: Problem;
  /** A sentence without a capital and a period. What a stranger's server said is quoted, and cut. */
  readonly detail: string;
}

export function trouble(problem: Problem, detail: string): Trouble {
  return { problem, detail };
}

const maxQuotedCharacters = 120;

/** A stranger's words as one short, harmless line in quotes. */
export function quoted(text: string): string {
  const line = text
    .replace(/[^\x20-\x7e]+/g, " ")
    .replaceAll('"', "'")
    .trim();
  return `"${line.length > maxQuotedCharacters ? `${line.slice(0, maxQuotedCharacters)}…` : line}"`;
}
