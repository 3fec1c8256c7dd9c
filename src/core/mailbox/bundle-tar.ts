/**
 * The one way in which a proof bundle is a tar archive (docs/formats/proof-bundle.md, "The archive"; POSIX.1-2024 pax(1),
 * "ustar Interchange Format"): plain files alone, every byte of a header told by its name, size and time.
 */

import { FormatError } from "#core/errors.ts";

export interface TarMember {
  readonly name: string;
  readonly bytes: Buffer;
}

const BLOCK = 512;
const END = Buffer.alloc(2 * BLOCK);
const NAME = /^[!-~]{1,100}$/;
const MAX_MEMBERS = 310_000;
/** Eleven octal digits. */
export const MAX_TAR_TIME = 0o77777777777;
/** Of one file, and of all. */
export const MAX_TAR_BYTES = 1024 * 1024 * 1024;

/**
 * Prints an archive, in parts that follow each other.
 * @param time of all members, Unix seconds
 * @throws FormatError TAR for names and times that it can't hold, TOO-LARGE
 */
export function printTar(members: Iterable<TarMember>, time: number): Buffer[] {
  const parts: Buffer[] = [];
  let total = END.length;
  for (const { name, bytes } of members) {
    const padded = paddedSize(bytes.length);
    parts.push(header(name, bytes.length, time), bytes, Buffer.alloc(padded - bytes.length));
    total += BLOCK + padded;
    if (total > MAX_TAR_BYTES) {
      throw new FormatError("TOO-LARGE", `archive: more than ${MAX_TAR_BYTES} bytes`);
    }
  }
  return [...parts, END];
}

/**
 * Reads an archive that {@link printTar} could have made; the members are views.
 * @returns the members in their order, and the time of all
 * @throws FormatError TAR, TOO-LARGE
 */
export function parseTar(bytes: Buffer): { members: TarMember[]; time: number } {
  if (bytes.length > MAX_TAR_BYTES) {
    throw new FormatError("TOO-LARGE", `archive: ${bytes.length} bytes, expected at most ${MAX_TAR_BYTES}`);
  }
  const fail = (at: number, expected: string): never => {
    throw new FormatError("TAR", `archive: byte ${at}: expected ${expected}`);
  };
  const members: TarMember[] = [];
  let time: number | null = null;
  let at = 0;
  for (;;) {
    const block = bytes.subarray(at, at + BLOCK);
    if (block.length < BLOCK) fail(at, "a header of 512 bytes, or two empty blocks as the end");
    if (block[0] === 0) break;
    const name = block.toString("latin1", 0, 100).replace(/\0+$/, "");
    const size = octal(block, 124);
    const when = octal(block, 136);
    if (!NAME.test(name)) fail(at, "a name of 1 to 100 printable characters");
    if (size === null || when === null || !header(name, size, when).equals(block)) {
      fail(at, `the one header that a plain file "${name}" has`);
    }
    if (when !== (time ?? when)) fail(at, "the same time for all files");
    const start = at + BLOCK;
    const end = start + (size ?? 0);
    at = start + paddedSize(size ?? 0);
    if (at > bytes.length) fail(start, `${size} bytes of "${name}"`);
    if (bytes.subarray(end, at).some((byte) => byte !== 0)) fail(end, "zeros up to the end of the block");
    if (members.length === MAX_MEMBERS) fail(at, `at most ${MAX_MEMBERS} files`);
    time = when;
    members.push({ name, bytes: bytes.subarray(start, end) });
  }
  if (!bytes.subarray(at).equals(END)) fail(at, "two empty blocks, and nothing behind them");
  return { members, time: time ?? 0 };
}

function paddedSize(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** Eleven octal digits and a zero byte. */
function octal(block: Buffer, at: number): number | null {
  const digits = /^([0-7]{11})\0$/.exec(block.toString("latin1", at, at + 12))?.[1];
  return digits === undefined ? null : Number.parseInt(digits, 8);
}

function header(name: string, size: number, time: number): Buffer {
  if (!NAME.test(name)) throw new FormatError("TAR", `archive: "${name}": expected 1 to 100 printable characters`);
  if (time < 0 || time > MAX_TAR_TIME) throw new FormatError("TAR", `archive: the time is ${time}`);
  const block = Buffer.alloc(BLOCK);
  const put = (at: number, text: string): void => void block.write(text, at, "latin1");
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, size.toString(8).padStart(11, "0"));
  put(136, time.toString(8).padStart(11, "0"));
  put(148, " ".repeat(8));
  put(156, "0");
  put(257, "ustar\x0000");
  put(329, "0000000");
  put(337, "0000000");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}
