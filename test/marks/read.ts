/** Reads one file to its end through a scanner; what is compressed also unpacked. */

import { closeSync, openSync, readSync } from "node:fs";
import type { MarkEncoding } from "#test/marks/marks.ts";
import { type Automaton, MarkScanner } from "#test/marks/scanner.ts";
import { type Compression, compressionOf, unpack } from "#test/marks/unpack.ts";

export interface MarkHit {
  file: string;
  mark: string;
  encoding: MarkEncoding;
  /** What held the mark: the bytes of the file, the bytes inside it when unpacked, its name, or the target of a link. */
  where: "content" | Compression | "name" | "link";
  /** Position of the byte after the first such hit. */
  offset: number;
  /** How many such hits there are. */
  count: number;
}

export interface FileReading {
  /** Bytes looked at, the unpacked ones included. */
  bytes: number;
  hits: MarkHit[];
}

const buffer = Buffer.alloc(256 * 1024);
const zeros = Buffer.alloc(buffer.length);

/**
 * Searches the bytes that are read from `path` until its end: a file, a block device, a deleted file in /proc/PID/fd.
 * @param reading receives what was found, also of a file that turns out to be damaged half way
 * @throws Error with the system's code when it can't be read, or without one when the compressed content is damaged
 */
export async function readThrough(path: string, automaton: Automaton, reading: FileReading): Promise<void> {
  const scanner = new MarkScanner(automaton);
  let compression: Compression | null = null;
  const file = openSync(path, "r");
  try {
    for (let size = readSync(file, buffer); size > 0; size = readSync(file, buffer)) {
      const chunk = buffer.subarray(0, size);
      if (scanner.position === 0) compression = compressionOf(chunk);
      if (size >= 4096 && chunk.equals(zeros.subarray(0, size))) scanner.skipZeros(size);
      else scanner.feed(chunk);
    }
  } finally {
    closeSync(file);
    takeHits(path, scanner, "content", reading);
  }
  if (compression === null) return;
  const inside = new MarkScanner(automaton);
  try {
    await unpack(path, compression, (chunk) => {
      inside.feed(chunk);
    });
  } finally {
    takeHits(path, inside, compression, reading);
  }
}

/** Moves what a scanner found into a reading. */
export function takeHits(file: string, scanner: MarkScanner, where: MarkHit["where"], reading: FileReading): void {
  reading.bytes += scanner.position;
  for (const { mark, encoding, end, count } of scanner.hits) {
    reading.hits.push({ file, mark, encoding, where, offset: end, count });
  }
}
