/** Fetches an MTA-STS policy over HTTPS (RFC 8461 section 3.3): one certificate check, no redirects, no long answers. */

import { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type RequestOptions, request } from "node:https";
import type { PeerCertificate, SecureContext } from "node:tls";
import { FormatError } from "#core/errors.ts";
import { quoted, type Trouble, trouble } from "./problem.ts";
import { parseStsPolicy, type StsPolicy } from "./sts-policy.ts";

const maxPolicyBytes = 65_536;
const policyPath = "/.well-known/mta-sts.txt";

export interface PolicyHost {
  /** `mta-sts.` and the domain. */
  readonly name: string;
  /** Resolved and allowed already: nothing here asks DNS. */
  readonly address: string;
  readonly port: number;
  readonly context: SecureContext;
}

/** @param signal the deadline: it ends the fetch with `sts-policy-fetch-error` */
export async function fetchPolicy(host: PolicyHost, signal: AbortSignal): Promise<StsPolicy | Trouble> {
  const text = await fetchText(host, signal);
  if (typeof text !== "string") return text;
  try {
    return parseStsPolicy(text);
  } catch (error) {
    if (error instanceof FormatError) return trouble("sts-policy-invalid", error.message);
    throw error;
  }
}

function fetchText({ name, address, port, context }: PolicyHost, signal: AbortSignal): Promise<string | Trouble> {
  return new Promise((resolve) => {
    let badName = false;
    const options: RequestOptions & { secureContext: SecureContext } = {
      host: address,
      port,
      path: policyPath,
      servername: name,
      secureContext: context,
      agent: false,
      signal,
      maxHeaderSize: 16_384,
      headers: { Host: name, Accept: "text/plain", Connection: "close" },
      checkServerIdentity(_host: string, { raw }: PeerCertificate) {
        badName = new X509Certificate(raw).checkHost(name, { subject: "never", partialWildcards: false }) === undefined;
        return badName ? new Error("the name does not fit") : undefined;
      },
    };
    const asking = request(options);
    const fail = (detail: string): void => {
      resolve(trouble("sts-policy-fetch-error", `https://${name}${policyPath}: ${detail}`));
      asking.destroy();
    };
    asking.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? error.message;
      if (signal.aborted) fail("no answer in time");
      else if (badName) resolve(trouble("sts-webpki-invalid", `the certificate is for another name than "${name}"`));
      else if (isCertificateError(code)) {
        resolve(trouble("sts-webpki-invalid", `the certificate of "${name}" is not valid (${code})`));
      } else fail(`no answer (${code})`);
    });
    // The rest: an answer that is none, as a switch to another protocol, ends without an error.
    asking.once("close", () => fail("no answer"));
    asking.once("response", (response: IncomingMessage) => {
      readBody(response, fail, resolve);
    });
    asking.end();
  });
}

function readBody(response: IncomingMessage, fail: (detail: string) => void, succeed: (text: string) => void): void {
  // A redirect, too, is not the policy: "HTTP 3xx redirects MUST NOT be followed".
  if (response.statusCode !== 200) return fail(`expected status 200, not ${response.statusCode ?? "none"}`);
  const type = response.headers["content-type"] ?? "";
  if (!/^text\/plain[ \t]*(;|$)/i.test(type)) return fail(`expected content of type text/plain, not ${quoted(type)}`);
  const parts: Buffer[] = [];
  let bytes = 0;
  response.on("data", (part: Buffer) => {
    bytes += part.length;
    parts.push(part);
    if (bytes > maxPolicyBytes) fail(`longer than ${maxPolicyBytes} bytes`);
  });
  response.once("error", () => fail("the connection broke"));
  response.once("end", () => succeed(Buffer.concat(parts).toString("latin1")));
}

/** OpenSSL's reasons, as Node names them. */
function isCertificateError(code: string): boolean {
  return (
    /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|INVALID_(CA|PURPOSE)|PATH_LENGTH/.test(code) && !code.startsWith("ERR_SSL")
  );
}
