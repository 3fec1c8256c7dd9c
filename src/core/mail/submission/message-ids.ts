/** Message identifiers (RFC 5322 section 3.6.4) that tell nothing of the program, the machine or the time. */

import { createHmac } from "node:crypto";
import { FieldScanner } from "./field-scanner.ts";
import type { StrictField } from "./strict-header.ts";

const NEUTRAL_LEFT = /^[0-9a-f]{32}$/;
const IDENTIFIER = /<[!-;=?-~]{1,995}>/y;
const MIN_KEY_BYTES = 32;
/** Right sides that many people's programs write: they say nothing about whose message it was. */
const SHARED: ReadonlySet<string> = new Set(["mail.gmail.com", "email.android.com"]);
/** Names that only a machine at home has. */
const PRIVATE_NAME =
  /^[^.]*$|^\[|\.(?:local|localdomain|localhost|lan|home|internal|intranet|private|arpa|invalid|box)$/;

/**
 * Reads identifiers with their angle brackets; comments between them are passed over.
 * @throws FormatError SUBMISSION
 */
export function parseMessageIds(field: StrictField): string[] {
  const scanner: FieldScanner = new FieldScanner(field);
  const ids: string[] = [];
  scanner.skip();
  do {
    const id = scanner.take(IDENTIFIER);
    if (id === undefined) scanner.fail('an identifier such as "<local@domain>"');
    ids.push(id);
    scanner.skip();
  } while (!scanner.atEnd);
  return ids;
}

/**
 * Gives identifiers of the sender's own messages their neutral form, always the same one, so that threads hold. Whoever
 * does not know the key can't find out by guessing what stood there.
 */
export class NeutralIds {
  readonly #account: string;
  readonly #domain: string;
  readonly #key: Uint8Array;
  readonly #ownRightSide: string | undefined;

  /** @param ownId the identifier that the message came with */
  constructor(account: string, domain: string, key: Uint8Array, ownId: string | undefined) {
    if (key.length < MIN_KEY_BYTES) throw new RangeError(`expected a key of at least ${MIN_KEY_BYTES} bytes`);
    this.#account = account;
    this.#domain = domain;
    this.#key = key;
    const right = ownId === undefined ? undefined : rightSide(ownId);
    this.#ownRightSide = right === undefined || SHARED.has(right) ? undefined : right;
  }

  /** 32 hexadecimal digits and the domain; one that has this form already is kept. */
  own(id: string): string {
    if (this.#isNeutral(id)) return id;
    const hash = createHmac("sha256", this.#key).update(`message-id/v1\0${this.#account}\0${id}`).digest("hex");
    return printNeutralId(hash.slice(0, 32), this.#domain);
  }

  /** Identifiers of others are kept. */
  reference(id: string): string {
    const right = rightSide(id);
    const isOwn = right === this.#domain || right === this.#ownRightSide || PRIVATE_NAME.test(right);
    return isOwn ? this.own(id) : id;
  }

  #isNeutral(id: string): boolean {
    const at = id.lastIndexOf("@");
    return NEUTRAL_LEFT.test(id.slice(1, at)) && id.slice(at + 1, -1) === this.#domain;
  }
}

/** @param hex 32 digits */
export function printNeutralId(hex: string, domain: string): string {
  return `<${hex}@${domain}>`;
}

function rightSide(id: string): string {
  return id.slice(id.lastIndexOf("@") + 1, -1).toLowerCase();
}
