/** Looks at one mail server the way smtpd will: connect, EHLO, STARTTLS, handshake, and away. No mail is offered. */

import { X509Certificate } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type SecureContext, type TLSSocket } from "node:tls";
import { FormatError, HostError } from "#core/errors.ts";
import { quoted, type Trouble, trouble } from "./problem.ts";
import { SmtpReplies } from "./smtp-replies.ts";

const maxChainCertificates = 10;
const farewellMilliseconds = 1000;

export interface StarttlsOptions {
  readonly address: string;
  readonly port: number;
  /** SNI (RFC 6066): which certificate we want to see. */
  readonly serverName: string;
  /** What we call ourselves. */
  readonly heloName: string;
  readonly context: SecureContext;
  readonly connectMilliseconds: number;
}

/** The certificates that a server showed. Nothing about them is proved but that the server has the leaf's key. */
export interface Shown {
  readonly leaf: X509Certificate;
  /** Certificates behind the leaf: claimed issuers, in no order that counts. */
  readonly others: readonly X509Certificate[];
  /** OpenSSL's code for what is wrong between the leaf and the system's CAs; null if it chains. Names are not judged. */
  readonly chainError: string | null;
}

/** Throws only for mistakes of ours. `unreachable` says that this address answered nothing that could be judged. */
export async function lookAtServer(options: StarttlsOptions, signal: AbortSignal): Promise<Shown | Trouble> {
  let socket: Socket | undefined;
  try {
    socket = await connectTo(options, signal);
    return await converse(socket, options, signal);
  } catch (error) {
    if (error instanceof FormatError) return trouble("validation-failure", error.message);
    if (error instanceof HostError) return trouble("unreachable", error.message);
    throw error;
  } finally {
    // After a good handshake the farewell is under way; it ends by itself or is cut off.
    const open = socket;
    if (open !== undefined) setTimeout(() => open.destroy(), farewellMilliseconds).unref();
  }
}

async function converse(socket: Socket, options: StarttlsOptions, signal: AbortSignal): Promise<Shown | Trouble> {
  const replies = new SmtpReplies(socket);
  const greeting = await replies.next(signal);
  if (greeting.code !== 220) return leave(socket, "unreachable", "greets with", greeting);
  socket.write(`EHLO ${options.heloName}\r\n`);
  const hello = await replies.next(signal);
  if (hello.code >= 400 && hello.code < 500) return leave(socket, "unreachable", "answers EHLO with", hello);
  const offers = hello.code === 250 && hello.lines.slice(1).some((line) => /^STARTTLS *$/i.test(line));
  if (!offers) return leave(socket, "starttls-not-supported", "offers no STARTTLS; it answers EHLO with", hello);
  socket.write("STARTTLS\r\n");
  const ready = await replies.next(signal);
  if (ready.code !== 220) return leave(socket, "starttls-not-supported", "answers STARTTLS with", ready);
  replies.release();
  return await handshake(socket, options, signal);
}

function leave(
  socket: Socket,
  problem: "unreachable" | "starttls-not-supported",
  what: string,
  { code, lines }: { code: number; lines: readonly string[] },
): Trouble {
  socket.end("QUIT\r\n");
  return trouble(problem, `the server ${what} ${quoted(`${code} ${lines[0] ?? ""}`)}`);
}

function connectTo({ address, port, connectMilliseconds }: StarttlsOptions, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(connectMilliseconds)]);
    const socket = connect({ host: address, port, noDelay: true });
    const onAbort = (): void => {
      socket.destroy();
      reject(new HostError("TIMEOUT", `${address} port ${port} did not answer in time`));
    };
    socket.once("error", (cause: NodeJS.ErrnoException) => {
      limit.removeEventListener("abort", onAbort);
      reject(new HostError("NETWORK", `can't connect to ${address} port ${port} (${cause.code ?? cause.message})`));
    });
    socket.once("connect", () => {
      limit.removeEventListener("abort", onAbort);
      resolve(socket);
    });
    if (limit.aborted) onAbort();
    else limit.addEventListener("abort", onAbort, { once: true });
  });
}

function handshake(socket: Socket, options: StarttlsOptions, signal: AbortSignal): Promise<Shown | Trouble> {
  return new Promise((resolve) => {
    const secure = connectTls({
      socket,
      secureContext: options.context,
      servername: options.serverName,
      // Whatever is wrong with the certificate is what we came to see: nothing that matters is sent here.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    const finish = (result: Shown | Trouble): void => {
      signal.removeEventListener("abort", onAbort);
      resolve(result);
    };
    const onAbort = (): void => {
      secure.destroy();
      finish(trouble("unreachable", "the TLS handshake did not end in time"));
    };
    secure.on("error", (error: NodeJS.ErrnoException) => {
      secure.destroy();
      finish(trouble("validation-failure", `the TLS handshake fails: ${quoted(error.code ?? error.message)}`));
    });
    secure.once("close", () => finish(trouble("validation-failure", "the server closes during the TLS handshake")));
    secure.once("secureConnect", () => {
      const shown = shownBy(secure);
      secure.end("QUIT\r\n");
      secure.resume();
      finish(shown ?? trouble("validation-failure", "the server shows no certificate"));
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** What the server showed in a handshake that has ended; null if that is nothing. */
export function shownBy(secure: TLSSocket): Shown | null {
  const certificates: X509Certificate[] = [];
  const seen = new Set<string>();
  for (let each = secure.getPeerCertificate(true); certificates.length < maxChainCertificates; ) {
    // A server without a certificate is shown as an empty object; a self-signed one is its own issuer.
    if (each.raw === undefined || seen.has(each.fingerprint256)) break;
    seen.add(each.fingerprint256);
    certificates.push(new X509Certificate(each.raw));
    if (each.issuerCertificate === undefined) break;
    each = each.issuerCertificate;
  }
  const [leaf, ...others] = certificates;
  if (leaf === undefined) return null;
  const error: unknown = secure.authorizationError;
  const chainError = secure.authorized ? null : error instanceof Error ? error.message : String(error);
  return { leaf, others, chainError };
}
