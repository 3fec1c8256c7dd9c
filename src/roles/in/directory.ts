import { stat } from "node:fs/promises";
import { type Accounts, parseAccounts } from "#core/accounts.ts";
import { readBounded } from "#host/files.ts";

const maxBytes = 256 * 1024 * 1024;

/** The directory of accounts as it is on disk now: read again when the file was replaced. */
export class Directory {
  readonly #path: string;
  #seen = "";
  #accounts: Accounts | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws FormatError CONFIG, or the system's error when the file is not there: the caller answers 451 */
  async current(): Promise<Accounts> {
    const { mtimeMs, size, ino } = await stat(this.#path);
    const now = `${mtimeMs} ${size} ${ino}`;
    if (this.#accounts === undefined || now !== this.#seen) {
      this.#accounts = parseAccounts((await readBounded(this.#path, maxBytes)).toString("utf8"));
      this.#seen = now;
    }
    return this.#accounts;
  }
}
