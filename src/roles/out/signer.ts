/** Signs what leaves. The keys are an ssh-agent's: this program asks, and has never seen them (docs/formats/signing.md). */

import { HostError } from "#core/errors.ts";
import { type DkimAlgorithm, dkimBodyHash, draftDkim } from "#core/mail/dkim.ts";
import { agentSignature } from "#host/ssh-agent.ts";
import type { SubmitConfig } from "./config.ts";

export interface SignerOptions {
  /** Of the addresses in From; what the signatures stand for. */
  readonly domain: string;
  /** The agent's. */
  readonly socket: string;
  /** Each signs every message, the first one's field on top. */
  readonly keys: readonly {
    readonly selector: string;
    readonly algorithm: DkimAlgorithm;
    /** The wire encoding of the public key, in base64. */
    readonly publicKey: string;
  }[];
  readonly seconds: number;
}

/** Null where mail is not signed. */
export function signerOf({ domain, dkim, signSeconds }: SubmitConfig): Signer | null {
  if (dkim === undefined) return null;
  return new Signer({ domain, socket: dkim.agent, keys: dkim.keys, seconds: signSeconds });
}

export class Signer {
  readonly #options: SignerOptions;

  constructor(options: SignerOptions) {
    this.#options = options;
  }

  /**
   * The message with a DKIM-Signature field for each key in front.
   * @param message CRLF line ends
   * @throws HostError when a key is out of reach: nothing leaves unsigned
   */
  async sign(message: Buffer): Promise<Buffer> {
    const { domain, socket, keys, seconds } = this.#options;
    const bodyHash = dkimBodyHash(message);
    try {
      const fields = await Promise.all(
        keys.map(async ({ selector, algorithm, publicKey }) => {
          const draft = draftDkim(message, bodyHash, { domain, selector, algorithm });
          const key = Buffer.from(publicKey, "base64");
          return draft.finish(await agentSignature({ socket, key, data: draft.toSign, seconds }));
        }),
      );
      return Buffer.concat([...fields, message]);
    } catch (cause) {
      const code = cause instanceof HostError ? cause.code : "AUTH";
      const reason = cause instanceof Error ? ` (${cause.message})` : "";
      throw new HostError(code, `mail can't be signed for now; nothing was sent${reason}`, {
        cause,
        hint: "try again later",
      });
    }
  }
}
