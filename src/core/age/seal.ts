/** Sealing: plaintext and recipients in, an age file out (docs/formats/sealed-mail.md). */

import { randomBytes } from "node:crypto";
import { PolicyError } from "#core/errors.ts";
import { Chunks } from "./chunks.ts";
import { makeFileKey } from "./file-key.ts";
import { printHeader } from "./header.ts";
import type { Recipient } from "./recipient.ts";
import { CHUNK_BYTES, ChunkSealer, PAYLOAD_NONCE_BYTES, payloadBytes } from "./stream.ts";

/**
 * Checks that a file may be sealed to these keys together.
 * @throws PolicyError NO-SEAL-KEY for none; KEY-MIX for post-quantum beside classical keys (the file would be as weak
 * as the weakest); KEY-TAG for two SSH keys with the same tag (other programs give up at the first that does not fit)
 */
export function checkRecipients(recipients: readonly Pick<Recipient, "text" | "tag" | "postQuantum">[]): void {
  if (recipients.length === 0) throw new PolicyError("NO-SEAL-KEY", "there is no key to seal to");
  if (recipients.some(({ postQuantum }) => postQuantum !== recipients[0]?.postQuantum)) {
    throw new PolicyError("KEY-MIX", "post-quantum and other keys can't be mixed", {
      hint: "seal to age1pq1 keys alone, or to none",
    });
  }
  const tags = new Set<string>();
  for (const { tag, text } of recipients) {
    if (tag === null) continue;
    if (tags.has(tag)) throw new PolicyError("KEY-TAG", `a second key has the tag of "${text.slice(0, 80)}"`);
    tags.add(tag);
  }
}

function start(recipients: readonly Recipient[]): { head: Buffer; sealer: ChunkSealer } {
  checkRecipients(recipients);
  const fileKey = makeFileKey();
  const header = printHeader(
    recipients.map((recipient) => recipient.wrap(fileKey)),
    fileKey,
  );
  const payloadNonce = randomBytes(PAYLOAD_NONCE_BYTES);
  return { head: Buffer.concat([header, payloadNonce]), sealer: new ChunkSealer(fileKey, payloadNonce) };
}

/**
 * Seals in one go.
 * @throws PolicyError as {@link checkRecipients}
 */
export function seal(recipients: readonly Recipient[], plaintext: Uint8Array): Buffer {
  const { head, sealer } = start(recipients);
  const file = Buffer.allocUnsafe(head.length + payloadBytes(plaintext.length));
  file.set(head);
  let at = head.length;
  for (let from = 0, last = false; !last; from += CHUNK_BYTES) {
    last = from + CHUNK_BYTES >= plaintext.length;
    const { body, tag } = sealer.seal(plaintext.subarray(from, from + CHUNK_BYTES), last);
    file.set(body, at);
    file.set(tag, at + body.length);
    at += body.length + tag.length;
  }
  return file;
}

/**
 * Seals what comes in pieces of any size; holds about two chunks of 64 KiB at a time.
 * @throws PolicyError as {@link checkRecipients}
 */
export async function* sealStream(
  recipients: readonly Recipient[],
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer, void, void> {
  const { head, sealer } = start(recipients);
  yield head;
  const chunks = new Chunks(CHUNK_BYTES);
  for await (const piece of source) {
    for (const chunk of chunks.push(piece)) {
      const { body, tag } = sealer.seal(chunk, false);
      yield body;
      yield tag;
    }
  }
  const { body, tag } = sealer.seal(chunks.last(), true);
  yield body;
  yield tag;
}
