/** Opens compressed files, known by their first bytes and not by their names, as streams of what is inside. */

import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";

export type Compression = "gzip" | "zstd" | "xz";

const magics: readonly (readonly [Compression, Buffer])[] = [
  ["gzip", Buffer.from([0x1f, 0x8b, 0x08])],
  ["zstd", Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ["xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
];

/** The compression that a file's first bytes name, or null. */
export function compressionOf(start: Uint8Array): Compression | null {
  return magics.find(([, magic]) => Buffer.compare(start.subarray(0, magic.length), magic) === 0)?.[0] ?? null;
}

/**
 * Gives what is inside a compressed file to `sink`, chunk by chunk. What was read before damage has been given.
 * @throws Error when the content is damaged, or `xz` is needed and missing
 */
export async function unpack(path: string, compression: Compression, sink: (chunk: Buffer) => void): Promise<void> {
  const take = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) sink(chunk);
  };
  if (compression === "gzip") return await pipeline(createReadStream(path), createGunzip(), take);
  if (compression === "zstd") return await pipeline(createReadStream(path), createZstdDecompress(), take);
  const child = spawn("xz", ["--decompress", "--stdout", "--", path], { stdio: ["ignore", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (text: Buffer) => {
    complaint += text.toString("utf8");
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const [status] = await Promise.all([ended, take(child.stdout)]);
  if (status !== 0) throw new Error(`xz can't read "${path}": ${complaint.trim()}`);
}
