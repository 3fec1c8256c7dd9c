/** The key that signs heads: made on this machine, never leaves it, and counts while the operator's list says so. */

import { readFileSync, rmSync } from "node:fs";
import { splitSigned } from "#core/account/signed-text.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import { MAX_SIGNERS_BYTES, parseSigners, type SignerList, verifySigners } from "#core/mailbox/signers.ts";
import { parsePrivateKey, type SshPrivateKey } from "#core/ssh/private-key.ts";
import { exec } from "#host/exec.ts";
import { readBounded, replaceDerived } from "#host/files.ts";
import type { MailboxStore } from "./store.ts";

const MAX_KEY_BYTES = 4096;
/** A list that counts for less than this is nothing to begin with. */
const MIN_VALID_SECONDS = 3600;

/** What `shoal-ledger signer` prints. */
export interface SignerReport {
  /** `TYPE BASE64` */
  readonly publicKey: string;
  /** Last second of the head times that the key may sign, Unix seconds; null if the operators have not listed it. */
  readonly listedUntil: number | null;
  /** The signed list, in base64; null before the first. */
  readonly list: string | null;
}

/**
 * Reads the key, or makes it. The file is as `ssh-keygen` makes it, without a passphrase.
 * @throws FormatError KEY; HostError EXEC
 */
export async function loadSignerKey(path: string): Promise<SshPrivateKey> {
  try {
    return parsePrivateKey((await readBounded(path, MAX_KEY_BYTES)).toString("latin1"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const fresh = `${path}.made`;
  for (const file of [fresh, `${fresh}.pub`]) rmSync(file, { force: true });
  await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "mailboxes", "-f", fresh]);
  const text = readFileSync(fresh, "latin1");
  const access = { mode: 0o600, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  replaceDerived(path, text, access, true);
  for (const file of [fresh, `${fresh}.pub`]) rmSync(file, { force: true });
  return parsePrivateKey(text);
}

export class Signer {
  readonly key: SshPrivateKey;
  readonly #store: MailboxStore;
  readonly #domain: string;
  /** The latest list: its bytes lie beside the heads. */
  #current: { readonly signed: Buffer; readonly list: SignerList } | null = null;

  constructor(key: SshPrivateKey, store: MailboxStore, domain: string) {
    this.key = key;
    this.#store = store;
    this.#domain = domain;
    const { signers } = store;
    // It was verified when it came.
    if (signers !== null) this.#current = currentOf(signers);
  }

  get current(): { readonly signed: Buffer; readonly list: SignerList } | null {
    return this.#current;
  }

  /** True if the key may sign a head of this time. */
  maySign(time: number): boolean {
    const own = this.#own(this.#current?.list);
    return own !== undefined && own.from <= time && time <= own.until;
  }

  /** @param operators keys of the directory's operators, who may change */
  report(operators: readonly string[]): SignerReport {
    const signed = this.#current?.signed ?? null;
    return {
      publicKey: this.key.publicKey.line,
      listedUntil: this.#own(signed === null ? undefined : this.#verified(signed, operators))?.until ?? null,
      list: signed?.toString("base64") ?? null,
    };
  }

  /**
   * Takes a new list of the operators', durably.
   * @param now Unix seconds
   * @throws as `verifySigners`; PolicyError SIGNER if it does not list this key for an hour at least; PolicyError STATUS if it is no
   * later than the one before
   */
  certify(signed: Buffer, operators: readonly string[], now: number): SignerList {
    const list = verifySigners(signed, this.#domain, new Set(operators));
    if (this.#current?.signed.equals(signed) === true) return list;
    const before = this.#current?.list.time ?? 0;
    if (list.time <= before) {
      throw new PolicyError(
        "STATUS",
        `the list is of ${list.time}, expected a later time than ${before}, the current one's`,
      );
    }
    const own = this.#own(list);
    if (own === undefined) throw new PolicyError("SIGNER", "the list does not name the key of this ledger");
    if (own.from > now || own.until < now + MIN_VALID_SECONDS) {
      throw new PolicyError("SIGNER", "the list does not name the key of this ledger for the next hour");
    }
    this.#store.setSigners(signed);
    this.#current = { signed, list };
    return list;
  }

  #verified(signed: Buffer, operators: readonly string[]): SignerList | undefined {
    try {
      return verifySigners(signed, this.#domain, new Set(operators));
    } catch (error) {
      // Its operator is none any more.
      if (error instanceof PolicyError) return undefined;
      throw error;
    }
  }

  #own(list: SignerList | undefined): SignerList["signers"][number] | undefined {
    return list?.signers.find(({ key }) => key === this.key.publicKey.line);
  }
}

function currentOf(signed: Buffer): { signed: Buffer; list: SignerList } {
  try {
    return { signed, list: parseSigners(splitSigned(signed, MAX_SIGNERS_BYTES).body) };
  } catch (cause) {
    throw new FormatError("STORE", "the store of mailboxes is damaged: its list of signers", { cause });
  }
}
