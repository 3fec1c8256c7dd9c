/** Asks an ssh-agent(1) for signatures (draft-ietf-sshm-ssh-agent): who asks never has the key. */

import { connect } from "node:net";
import { HostError } from "#core/errors.ts";
import { WireReader, wireString } from "#core/ssh/wire.ts";

const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
/** Of an `ssh-rsa` key: PKCS #1 v1.5 with SHA-256. */
const RSA_SHA2_256 = 2;
const MAX_ANSWER_BYTES = 16 * 1024;

export interface AgentRequest {
  /** Path of the agent's socket. */
  readonly socket: string;
  /** The wire encoding of the public key. */
  readonly key: Buffer;
  /** At most some 200 kB. */
  readonly data: Buffer;
  readonly seconds: number;
}

/**
 * The bare signature: of Ed25519 64 bytes, of RSA as many as the modulus has.
 * @throws HostError NETWORK, TIMEOUT; HostError AUTH when the agent doesn't have the key or does not want to
 */
export async function agentSignature({ socket, key, data, seconds }: AgentRequest): Promise<Buffer> {
  const flags = Buffer.from([0, 0, 0, RSA_SHA2_256]);
  const request = Buffer.concat([Buffer.of(SIGN_REQUEST), wireString(key), wireString(data), flags]);
  const answer = new WireReader(await ask(socket, wireString(request), seconds), "KEY", "the agent's answer");
  if (answer.take(1)[0] !== SIGN_RESPONSE) throw new HostError("AUTH", "the agent does not sign");
  const signature = new WireReader(answer.string(), "KEY", "the agent's signature");
  answer.end();
  signature.name();
  const bytes = signature.string();
  signature.end();
  return bytes;
}

/** One request on a connection of its own; gives the answer without its length. */
function ask(path: string, request: Buffer, seconds: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let answer: Buffer = Buffer.alloc(0);
    const socket = connect({ path }, () => socket.write(request));
    const timer = setTimeout(() => fail(new HostError("TIMEOUT", "the agent does not answer")), seconds * 1000);
    const fail = (error: HostError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    socket.on("error", (cause) => fail(new HostError("NETWORK", "the agent can't be reached", { cause })));
    socket.on("end", () => fail(new HostError("NETWORK", "the agent has closed the connection")));
    socket.on("data", (bytes: Buffer) => {
      answer = Buffer.concat([answer, bytes]);
      if (answer.length < 4) return;
      const length = answer.readUInt32BE(0);
      if (length > MAX_ANSWER_BYTES) fail(new HostError("NETWORK", "the agent's answer is too long"));
      if (answer.length < 4 + length) return;
      clearTimeout(timer);
      socket.destroy();
      resolve(answer.subarray(4, 4 + length));
    });
  });
}
