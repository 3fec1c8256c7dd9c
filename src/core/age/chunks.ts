/** Cuts a stream into chunks of one size and knows, when it hands one out, whether it is the last. */

export interface Chunk {
  chunk: Buffer;
  last: boolean;
}

/**
 * Every chunk has exactly `size` bytes but the last, which has 1 to `size`, or none if the source is empty. Nothing is
 * copied that need not be: a source must leave its pieces alone once it has handed them out.
 */
export async function* inChunks(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
): AsyncGenerator<Chunk, void, void> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const take = (): Buffer => {
    const [first] = pending;
    const chunk = first !== undefined && pending.length === 1 ? first : Buffer.concat(pending, pendingBytes);
    pending = [];
    pendingBytes = 0;
    return chunk;
  };
  for await (const piece of source) {
    let rest = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    while (rest.length > 0) {
      // A full chunk waits for the next byte: only then is it known not to be the last.
      if (pendingBytes === size) yield { chunk: take(), last: false };
      const head = rest.subarray(0, size - pendingBytes);
      pending.push(head);
      pendingBytes += head.length;
      rest = rest.subarray(head.length);
    }
  }
  yield { chunk: take(), last: true };
}
