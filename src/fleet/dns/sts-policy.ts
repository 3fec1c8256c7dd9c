/** The fleet's own MTA-STS policy (RFC 8461). Pure. */

import { createHash, X509Certificate } from "node:crypto";

const WEEK_SECONDS = 604_800;

export interface OwnPolicy {
  mode: "enforce" | "testing";
  maxAgeSeconds: number;
  /** Host names of all machines `in`. */
  mx: readonly string[];
  /** Where it must lie. */
  url: string;
  /** The file: CRLF line ends, as the RFC has them. */
  text: string;
  /** For the TXT record: another text has another one. */
  id: string;
}

/**
 * `enforce` demands a certificate that a public authority has signed (section 4.2): with a self-signed one, servers that obey
 * would no longer deliver. Then the policy says `testing`, and mail servers that can't do DANE report and deliver all the same.
 * @param certificates PEM, one for each of `mx`
 */
export function ownPolicy(domain: string, mx: readonly string[], certificates: readonly string[]): OwnPolicy {
  const isSigned = certificates.every((pem) => {
    const certificate = new X509Certificate(pem);
    return certificate.issuer !== certificate.subject;
  });
  const mode = isSigned ? "enforce" : "testing";
  const lines = ["version: STSv1", `mode: ${mode}`, ...mx.map((host) => `mx: ${host}`), `max_age: ${WEEK_SECONDS}`];
  const text = lines.map((line) => `${line}\r\n`).join("");
  return {
    mode,
    maxAgeSeconds: WEEK_SECONDS,
    mx,
    url: `https://mta-sts.${domain}/.well-known/mta-sts.txt`,
    text,
    id: createHash("sha256").update(text).digest("hex").slice(0, 20),
  };
}
