/**
 * One look at whether the server has something new, as cheap as it can be: an answer of a few bytes while nothing changes.
 * Nothing is believed: what is seen only says that it is time for a round of `shoal sync`, which judges all of it.
 */

import { createHash } from "node:crypto";
import { FormatError } from "#core/errors.ts";
import { type SftpConnection, SftpStatusError, STATUS } from "#host/sftp.ts";
import type { MailboxPaths } from "../mailbox/paths.ts";

export type LookingSftp = Pick<SftpConnection, "lstat" | "readFile">;

/** What a look has seen. */
export interface Sight {
  /** Another one says that there may be new mail, or another account state. */
  readonly news: string;
  /** Until when the next head should have come, Unix seconds by the ledger's clock; null where there is none. */
  readonly next: number | null;
}

const MAX_HEAD_BYTES = 64 * 1024;

export class Looker {
  readonly #paths: MailboxPaths;
  #attributes = "";
  #sight: Sight | null = null;
  /** True while a head may have been replaced by another one of the same size within the same second. */
  #isFresh = false;

  constructor(paths: MailboxPaths) {
    this.#paths = paths;
  }

  /** One request while nothing changes. @throws HostError NETWORK, TIMEOUT, …; FormatError SFTP */
  async look(sftp: LookingSftp): Promise<Sight> {
    try {
      return await this.#look(sftp);
    } catch (error) {
      const isRefusal =
        error instanceof SftpStatusError || (error instanceof FormatError && error.code === "TOO-LARGE");
      if (!isRefusal) throw error;
      // What can't be looked at an audit has to judge.
      this.#attributes = "";
      return { news: `unreadable ${error.message}`, next: null };
    }
  }

  async #look(sftp: LookingSftp): Promise<Sight> {
    const attributes = await attributesOf(sftp, this.#paths.head);
    // A server without a ledger: the folder's time changes when a name comes or goes.
    if (attributes === null) return { news: `folder ${await attributesOf(sftp, this.#paths.mail)}`, next: null };
    const isSame = attributes === this.#attributes;
    if (isSame && !this.#isFresh && this.#sight !== null) return this.#sight;
    this.#attributes = attributes;
    this.#isFresh = !isSame;
    this.#sight = sightOf(await sftp.readFile(this.#paths.head, MAX_HEAD_BYTES));
    return this.#sight;
  }
}

async function attributesOf(sftp: LookingSftp, path: string): Promise<string | null> {
  try {
    const { size, mtimeSeconds } = await sftp.lstat(path);
    return `${size} ${mtimeSeconds}`;
  } catch (error) {
    if (error instanceof SftpStatusError && error.status === STATUS.noSuchFile) return null;
    throw error;
  }
}

/** A heartbeat changes nothing but its times and its signature. */
function sightOf(head: Buffer): Sight {
  const text = head.toString("latin1");
  const lines = /^last .*\n|^state .*\n/gm;
  const news = (text.match(lines) ?? [createHash("sha256").update(head).digest("hex")]).join("");
  const next = /^next ([0-9]{1,15})$/m.exec(text)?.[1];
  return { news, next: next === undefined ? null : Number(next) };
}
