/** What smtpd's `relay tls` will ask of a certificate: that it chains to the system's CAs and has the host's name. Pure. */

import { type Trouble, trouble } from "./problem.ts";
import type { Shown } from "./starttls.ts";

/** Null if the certificate is good for `host`. Only DNS names in subjectAltName count (RFC 8461 section 4.1). */
export function webpkiTrouble({ leaf, chainError }: Shown, host: string): Trouble | null {
  if (chainError !== null) return chainTrouble(chainError);
  if (leaf.checkHost(host, { subject: "never", partialWildcards: false }) !== undefined) return null;
  return trouble("certificate-host-mismatch", `the certificate is for another name than "${host}"`);
}

function chainTrouble(code: string): Trouble {
  if (code === "CERT_HAS_EXPIRED")
    return trouble("certificate-expired", "the certificate, or one it hangs on, has expired");
  if (untrusted.has(code)) {
    return trouble("certificate-not-trusted", `the certificate leads to no authority that we trust (${code})`);
  }
  return trouble("validation-failure", `the certificate is not valid (${code})`);
}

const untrusted = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_UNTRUSTED",
]);
