/** Files of a tar archive (POSIX.1-1988 ustar), as `tar --format=ustar` of a machine prints them. Pure. */

import { FormatError } from "#core/errors.ts";

export interface TarFile {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: Buffer;
}

const BLOCK = 512;

/** Regular files alone; what else is in it is passed over. @throws FormatError TAR */
export function readTar(bytes: Buffer): TarFile[] {
  const files: TarFile[] = [];
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const head = bytes.subarray(at, at + BLOCK);
    if (head.every((byte) => byte === 0)) return files;
    const text = (from: number, length: number): string =>
      head.toString("latin1", from, from + length).split("\0", 1)[0] ?? "";
    const octal = (from: number, length: number): number => {
      const digits = text(from, length).trim();
      if (!/^[0-7]+$/.test(digits)) throw new FormatError("TAR", `tar: byte ${at + from}: expected an octal number`);
      return Number.parseInt(digits, 8);
    };
    if (text(257, 5) !== "ustar") throw new FormatError("TAR", `tar: byte ${at}: expected the header of a file`);
    const size = octal(124, 12);
    const start = at + BLOCK;
    if (start + size > bytes.length) throw new FormatError("TAR", `tar: byte ${at}: a file is cut off`);
    if (text(156, 1) === "0" || text(156, 1) === "") {
      const prefix = text(345, 155);
      files.push({
        path: `${prefix === "" ? "" : `${prefix}/`}${text(0, 100)}`,
        mode: octal(100, 8),
        uid: octal(108, 8),
        gid: octal(116, 8),
        content: bytes.subarray(start, start + size),
      });
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  throw new FormatError("TAR", "tar: the archive has no end");
}
