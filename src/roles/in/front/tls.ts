import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { FormatError, HostError } from "#core/errors.ts";

/**
 * Loads certificate and key, TLS 1.2 at least.
 * @throws FormatError CONFIG when they don't fit each other or are damaged
 */
export async function loadTls(certificate: string, key: string): Promise<SecureContext> {
  const [cert, secret] = await Promise.all([readFile(certificate), readFile(key)]);
  try {
    return createSecureContext({ cert, key: secret, minVersion: "TLSv1.2", honorCipherOrder: true });
  } catch (cause) {
    throw new FormatError("CONFIG", `"${certificate}" and "${key}" are no certificate with its key`, { cause });
  }
}

/**
 * The server's side of a handshake. Nothing else may listen on the socket.
 * @throws HostError NETWORK, TIMEOUT
 */
export function startTls(context: SecureContext, socket: Socket, deadline: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext: context, requestCert: false });
    const timer = setTimeout(() => fail(new HostError("TIMEOUT", "the client is silent")), deadline - Date.now());
    const fail = (error: HostError): void => {
      clearTimeout(timer);
      secure.destroy();
      reject(error);
    };
    secure.on("error", (cause) => fail(new HostError("NETWORK", "no TLS with this client", { cause })));
    secure.once("close", () => fail(new HostError("NETWORK", "the client broke off")));
    secure.once("secure", () => {
      clearTimeout(timer);
      secure.disableRenegotiation();
      resolve(secure);
    });
  });
}
