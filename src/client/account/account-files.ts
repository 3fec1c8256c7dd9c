/** The files by which an account speaks with its owner, on `keys` and `fetch` (docs/formats/account-state.md). */

import { createHash } from "node:crypto";
import { visibleLine } from "#cli/visible.ts";
import { FormatError } from "#core/errors.ts";
import { OPEN, type SftpConnection, SftpStatusError, STATUS } from "#host/sftp.ts";
import type { Profile } from "../profile.ts";
import { MAX_CHAIN_BYTES } from "./memory.ts";

const MAX_RESULT_BYTES = 4096;

export interface ShownChain {
  readonly bytes: Buffer;
  readonly size: number;
  readonly mtimeSeconds: number;
}

/** What a machine answers to a proposal. */
export interface Answer {
  /** `ACCEPTED`, `PENDING`, or why not. */
  readonly code: string;
  /** For a person; printable. */
  readonly text: string;
}

/** The account's folder at `keys`, without a slash at its end. */
export function keysBase({ keysFolder = "/" }: Profile): string {
  return keysFolder.replace(/\/+$/, "");
}

/** The account's folder where mail is, without a slash at its end: that of the mail is in it. */
export function fetchBase({ folder }: Profile): string {
  return folder.replace(/\/*[^/]*\/*$/, "");
}

/** @param base the account's folder on the machine, without a slash at its end */
export function chainPath(base: string): string {
  return `${base}/account/chain`;
}

/**
 * The chain that a machine shows; null where there is none, on servers that know no accounts.
 * @param isKnown asked with size and time of the file: true to leave it unread, for `unchanged`
 * @param isNews true if it can't be known: then it is read without a look at its attributes before
 */
export async function readShownChain(
  sftp: SftpConnection,
  base: string,
  isKnown?: (size: number, mtimeSeconds: number) => Promise<boolean>,
  isNews = false,
): Promise<ShownChain | "unchanged" | null> {
  const path = chainPath(base);
  try {
    const looking = sftp.lstat(path);
    const reading = isNews ? sftp.readFile(path, MAX_CHAIN_BYTES) : undefined;
    // What is wrong with the file the other request tells as well.
    reading?.catch(() => undefined);
    const { size = 0, mtimeSeconds = 0 } = await looking;
    if ((await isKnown?.(size, mtimeSeconds)) === true) return "unchanged";
    // Without the size: the file is replaced as a whole, and what is open is either the old or the new one.
    return { bytes: await (reading ?? sftp.readFile(path, MAX_CHAIN_BYTES)), size, mtimeSeconds };
  } catch (error) {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return null;
    throw error;
  }
}

/** As {@link readShownChain}; what a machine does not let be read, or makes too large to be read, it does not show. */
export async function readChainIfShown(...what: Parameters<typeof readShownChain>): ReturnType<typeof readShownChain> {
  try {
    return await readShownChain(...what);
  } catch (error) {
    if (error instanceof SftpStatusError || (error instanceof FormatError && error.code === "TOO-LARGE")) return null;
    throw error;
  }
}

/** Hands a signed state in: the one file that its owner may write. */
export async function handIn(sftp: SftpConnection, base: string, signed: Buffer): Promise<void> {
  const handle = await sftp.open(`${base}/proposal`, OPEN.write | OPEN.truncate);
  await sftp.write(handle, 0, signed);
  await sftp.close(handle);
}

/** The answer to this very state; null while there is none. */
export async function readAnswer(sftp: SftpConnection, base: string, signed: Buffer): Promise<Answer | null> {
  let result: Buffer;
  try {
    result = await sftp.readFile(`${base}/answer/result`, MAX_RESULT_BYTES);
  } catch (error) {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return null;
    throw error;
  }
  const match = /^shoal-result\/v1\nfile (\S+)\ncode ([A-Z-]+)\nversion (?:-|[0-9]+)\ntext (.*)\n$/.exec(
    result.toString("latin1"),
  );
  const [, file, code = "", text = ""] = match ?? [];
  if (file !== createHash("sha256").update(signed).digest("base64")) return null;
  return { code, text: visibleLine(text) };
}
