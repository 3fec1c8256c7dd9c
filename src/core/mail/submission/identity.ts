/** Who may be named as the sender: addresses of the account, and only one face of it in a message. */

import { PolicyError } from "#core/errors.ts";
import { type Address, accountOf } from "#core/mail/address.ts";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import type { ListedMailbox } from "./address-list.ts";
import { printAddress } from "./envelope-address.ts";
import { lineNumber, quoted } from "./mistake.ts";
import type { StrictField } from "./strict-header.ts";

/** Whose mail is sent. */
export interface Account {
  /** As sshd attests it. */
  readonly name: string;
  /** In lower case. */
  readonly domain: string;
  /** Other names whose mail this account may send; a Set fits. Asked in lower case, without sub-address. */
  readonly aliases: { has(name: string): boolean };
}

/** Blanks that are hardly seen may stand beside the @. */
const LOOK_ALIKE =
  /([^\s@<>(),;:[\]]{1,64})[^\S \t]{0,9}@[^\S \t]{0,9}(\[[\p{L}\p{N}.:]{1,60}\]|[\p{L}\p{M}\p{N}._-]{0,252}[\p{L}\p{N}])/gu;
const LOCAL_BEFORE = /[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+$/;
const DOMAIN_BEHIND = /^[A-Za-z0-9.-]*[A-Za-z0-9]/;
/** Longer ones are no addresses. */
const MAX_LOCAL_CHARACTERS = 64;
const MAX_DOMAIN_CHARACTERS = 253;

/** The one name of an account that a message comes from: `alice`, or an alias. Sub-addresses are of the same face. */
export class Identity {
  readonly #account: Account;
  /** In lower case, without sub-address. */
  readonly name: string;
  readonly domain: string;

  /** @throws PolicyError FORGED if the address is not the account's */
  constructor(account: Account, address: Address, where: string) {
    const name = ownName(account, printAddress(address));
    if (name === null) throw forged(account, where, address);
    this.#account = account;
    this.name = name;
    this.domain = account.domain;
  }

  /** Whether it shows no alias but the account itself. */
  get isAccount(): boolean {
    return this.name === this.#account.name;
  }

  /** @throws PolicyError FORGED for addresses of others, ALIAS-LEAK for another one of the account */
  check(address: Address, where: string): void {
    const name = ownName(this.#account, printAddress(address));
    if (name === null) throw forged(this.#account, where, address);
    if (name !== this.name) throw this.#leak(where, printAddress(address));
  }

  /**
   * Judges what people are shown beside an address of the sender.
   * @throws PolicyError FORGED if it shows another address, ALIAS-LEAK for another one of the account
   */
  checkShown({ shown }: ListedMailbox, field: StrictField): void {
    const where = placeOf(field);
    for (const text of shown) {
      for (const found of lookAlikesIn(decodeEncodedWords(text))) {
        const name = ownName(this.#account, found);
        if (name !== null && name !== this.name) throw this.#leak(where, found);
        if (name === null && /@.*[.[]/.test(found)) {
          const message = `${where}: the name shows ${quoted(found)}, an address that is not yours`;
          throw new PolicyError("FORGED", message);
        }
      }
    }
  }

  /** @throws PolicyError ALIAS-LEAK if any text names another address of the account */
  checkText(text: string, where: string): void {
    for (const found of addressesIn(decodeEncodedWords(text))) {
      const name = ownName(this.#account, found);
      if (name !== null && name !== this.name) throw this.#leak(where, found);
    }
  }

  #leak(where: string, address: string): PolicyError {
    return new PolicyError(
      "ALIAS-LEAK",
      `${where}: ${quoted(address)} is another address of yours: the message comes from ${this.name}@${this.domain}`,
      { hint: "name one address of yours only, and others in Bcc, so that nobody learns of them" },
    );
  }
}

/** `line 3: Reply-To`, for messages. */
export function placeOf({ name, place }: StrictField): string {
  return `line ${lineNumber(place)}: ${name}`;
}

/** What looks like an address in a text. Each @ costs a bounded time. */
function addressesIn(text: string): string[] {
  const addresses: string[] = [];
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    const local = LOCAL_BEFORE.exec(text.slice(Math.max(0, at - MAX_LOCAL_CHARACTERS), at))?.[0];
    const domain = DOMAIN_BEHIND.exec(text.slice(at + 1, at + 1 + MAX_DOMAIN_CHARACTERS))?.[0];
    if (local !== undefined && domain !== undefined) addresses.push(`${local}@${domain}`);
  }
  return addresses;
}

/**
 * What people take for an address: without what nobody sees, other forms of letters, dots and @ as the plain ones, letters of
 * all scripts. Each @ costs a bounded time.
 */
function lookAlikesIn(text: string): string[] {
  const seen = text
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .normalize("NFKC")
    .replaceAll("\u3002", ".");
  const again = seen.includes("=?") ? decodeEncodedWords(seen) : "";
  return [seen, again]
    .flatMap((each) => [...each.matchAll(LOOK_ALIKE)])
    .map(([, local = "", domain = ""]) => {
      // Quotes and brackets around an address are no part of it.
      return `${local.replace(/^[^\p{L}\p{N}]+(?=.)/u, "")}@${domain}`;
    });
}

function ownName(account: Account, address: string): string | null {
  const name = accountOf(address, account.domain);
  return name !== null && (name === account.name || account.aliases.has(name)) ? name : null;
}

function forged({ name, domain }: Account, where: string, address: Address): PolicyError {
  return new PolicyError("FORGED", `${where}: ${quoted(printAddress(address))} is not an address of yours`, {
    hint: `expected ${name}@${domain}, a sub-address such as ${name}+shop@${domain}, or an alias of yours`,
  });
}
