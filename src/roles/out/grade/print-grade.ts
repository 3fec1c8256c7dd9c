/** A grade as one line that programs can read: `docs/formats/grades.md`. */

import { isDomain } from "#core/mail/address.ts";
import type { DomainGrade } from "./grader.ts";

/** ASCII, single spaces, no line end; nothing of what a stranger's server said is in it, and what is no domain is "-". */
export function printGrade({ domain, grade, by, because }: DomainGrade): string {
  const name = isDomain(domain) ? domain : "-";
  if (grade === "none") return `tls-problem ${name} ${because.result} ${because.mx}`;
  return `tls ${grade} ${name} ${by ?? "-"} ${because.mx}`;
}
