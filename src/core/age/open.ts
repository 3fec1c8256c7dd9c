/**
 * Opening age files. Errors tell the cases apart that a person must treat differently: AGE-HEADER the header is
 * damaged, NO-IDENTITY it is whole and for other keys, AGE-MAC it was changed, AGE-PAYLOAD the content was changed or
 * cut off.
 */

import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { Chunks } from "./chunks.ts";
import { checkHeaderMac, type Header, headerEnd, parseHeader } from "./header.ts";
import type { Identity } from "./identity.ts";
import { CHUNK_BYTES, ChunkOpener, PAYLOAD_NONCE_BYTES, TAG_BYTES } from "./stream.ts";

const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;

/** The file key by the first identity that fits a stanza, header proved genuine. */
function unlock(identities: readonly Identity[], header: Header): Buffer {
  for (const identity of identities) {
    for (const stanza of header.stanzas) {
      const fileKey = identity.unwrap(stanza);
      if (fileKey === null) continue;
      checkHeaderMac(header, fileKey);
      return fileKey;
    }
  }
  throw new PolicyError("NO-IDENTITY", "the file is sealed to other keys than those given here", {
    hint: "give every private key of yours that mail is sealed to",
  });
}

function openerOf(identities: readonly Identity[], file: Buffer, header: Header): ChunkOpener {
  const fileKey = unlock(identities, header);
  const payloadNonce = file.subarray(header.bytes, header.bytes + PAYLOAD_NONCE_BYTES);
  if (payloadNonce.length < PAYLOAD_NONCE_BYTES) {
    throw new FormatError("AGE-HEADER", "age header: the file ends right behind it");
  }
  return new ChunkOpener(fileKey, payloadNonce);
}

/**
 * Opens a whole file; gives the plaintext only if all of it is genuine.
 * @throws FormatError AGE-HEADER, PolicyError NO-IDENTITY, VerifyError AGE-MAC, VerifyError AGE-PAYLOAD
 */
export function open(identities: readonly Identity[], file: Buffer): Buffer {
  const header = parseHeader(file);
  const opener = openerOf(identities, file, header);
  const sealed = file.subarray(header.bytes + PAYLOAD_NONCE_BYTES);
  if (sealed.length <= SEALED_CHUNK_BYTES) return opener.open(sealed, true);
  const rest = sealed.length % SEALED_CHUNK_BYTES;
  if (rest > 0 && rest <= TAG_BYTES) throw new VerifyError("AGE-PAYLOAD", "age payload: the file was cut off");
  const chunks = Math.ceil(sealed.length / SEALED_CHUNK_BYTES);
  const plaintext = Buffer.allocUnsafe(sealed.length - chunks * TAG_BYTES);
  let at = 0;
  for (let from = 0; from < sealed.length; from += SEALED_CHUNK_BYTES) {
    const end = from + SEALED_CHUNK_BYTES;
    const chunk = opener.open(sealed.subarray(from, end), end >= sealed.length);
    plaintext.set(chunk, at);
    at += chunk.length;
  }
  return plaintext;
}

/**
 * Opens what comes in pieces of any size. **What is handed out is genuine, the file as a whole only when the stream
 * ends without an error**: write to a temporary file and take it over at the end.
 * @throws the errors of {@link open}, while iterating
 */
export async function* openStream(
  identities: readonly Identity[],
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer, void, void> {
  let head: Buffer = Buffer.alloc(0);
  let opener: ChunkOpener | undefined;
  const chunks = new Chunks(SEALED_CHUNK_BYTES);
  for await (const piece of source) {
    let sealed = piece;
    if (opener === undefined) {
      head = Buffer.concat([head, piece]);
      const end = headerEnd(head);
      if (end === null || head.length < end + PAYLOAD_NONCE_BYTES) continue;
      opener = openerOf(identities, head, parseHeader(head));
      sealed = head.subarray(end + PAYLOAD_NONCE_BYTES);
    }
    for (const chunk of chunks.push(sealed)) yield opener.open(chunk, false);
  }
  // A source that ended within the header fails here.
  opener ??= openerOf(identities, head, parseHeader(head));
  yield opener.open(chunks.last(), true);
}
