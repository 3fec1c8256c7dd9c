/** Why mail would travel unprotected, in a line for each domain. */

import { visibleLine } from "#cli/visible.ts";
import { tlsReasonInWords } from "#core/mail/tls-reason.ts";
import type { TlsProblem } from "./answer-of-out.ts";

/** `example.edu: … (certificate-expired, mx.example.edu)` */
export function problemInWords({ domain, reason, server }: TlsProblem): string {
  const where = server === "-" ? reason : `${reason}, ${server}`;
  return visibleLine(`${domain}: ${tlsReasonInWords(reason)} (${where})`);
}

/** No way at all leads to a domain that does not exist, protected or not: to send knowingly is no answer to that. */
export function leadNowhere(problems: readonly TlsProblem[]): boolean {
  return problems.every(({ reason }) => reason === "no-such-domain");
}
