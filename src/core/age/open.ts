/**
 * Opening age files. Errors tell the cases apart that a person must treat differently: AGE-HEADER the header is
 * damaged, NO-IDENTITY it is whole and for other keys, AGE-MAC it was changed, AGE-PAYLOAD the content was changed or
 * cut off.
 */

import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { inChunks } from "./chunks.ts";
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

function payloadNonceAt(bytes: Buffer, offset: number): Buffer {
  if (bytes.length < offset + PAYLOAD_NONCE_BYTES) {
    throw new FormatError("AGE-HEADER", "age header: the file ends right behind it");
  }
  return bytes.subarray(offset, offset + PAYLOAD_NONCE_BYTES);
}

/**
 * Opens a whole file; gives the plaintext only if all of it is genuine.
 * @throws FormatError AGE-HEADER, PolicyError NO-IDENTITY, VerifyError AGE-MAC, VerifyError AGE-PAYLOAD
 */
export function open(identities: readonly Identity[], file: Buffer): Buffer {
  const header = parseHeader(file);
  const fileKey = unlock(identities, header);
  const opener = new ChunkOpener(fileKey, payloadNonceAt(file, header.bytes));
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
 * Opens what comes in pieces of any size. **Each chunk is genuine when it is handed out, the file only when the stream
 * ends without an error**: write to a temporary file and take it over at the end.
 * @throws the errors of {@link open}, while iterating
 */
export async function* openStream(
  identities: readonly Identity[],
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer, void, void> {
  const pieces = iterate(source);
  const head = await readHead(pieces);
  const header = parseHeader(head);
  const fileKey = unlock(identities, header);
  const opener = new ChunkOpener(fileKey, payloadNonceAt(head, header.bytes));
  const sealed = behind(head.subarray(header.bytes + PAYLOAD_NONCE_BYTES), pieces);
  for await (const { chunk, last } of inChunks(sealed, SEALED_CHUNK_BYTES)) yield opener.open(chunk, last);
}

async function* iterate(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* source;
}

/** Reads on until the header and the payload nonce are there, or the source ends. */
async function readHead(pieces: AsyncGenerator<Uint8Array, void, void>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  for (let end: number | null = null; end === null || head.length < end + PAYLOAD_NONCE_BYTES; ) {
    const { value: piece } = await pieces.next();
    if (piece === undefined) break;
    head = Buffer.concat([head, piece]);
    end = headerEnd(head);
  }
  return head;
}

async function* behind(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, void>,
): AsyncGenerator<Uint8Array, void, void> {
  yield first;
  yield* rest;
}
