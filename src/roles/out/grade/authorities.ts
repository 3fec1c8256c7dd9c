/** The authorities that smtpd trusts. */

import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";

const systemFile = "/etc/ssl/certs/ca-certificates.crt";

/** Made once: reading some hundred authorities takes longer than a handshake. @param caFile PEM; default: the system's. @throws the error of reading it */
export function authorities(caFile = systemFile): SecureContext {
  return createSecureContext({ ca: readFileSync(caFile), minVersion: "TLSv1.2" });
}
