/** An address as it is typed behind `--to`: `bob@example.net`, or with a name: `Bob Öst <bob@example.net>`. */

import { PolicyError } from "#core/errors.ts";
import { parseEnvelopeAddress, printAddress } from "#core/mail/submission/envelope-address.ts";
import { encodePhrase } from "./encode-words.ts";

export interface Correspondent {
  /** Empty where there is none. */
  readonly name: string;
  readonly address: string;
}

/**
 * @param option names it in messages: `--to`
 * @throws PolicyError USAGE; FormatError RECIPIENT for the address
 */
export function parseCorrespondent(text: string, option: string): Correspondent {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) {
    throw new PolicyError("USAGE", `${option}: expected an address in one line, found ${JSON.stringify(text)}`);
  }
  const [, quoted, plain, angle] = /^\s*(?:(?:"((?:[^"\\]|\\.)*)"|([^<>"]*?))\s*<([^<>]*)>)\s*$/.exec(text) ?? [];
  if (angle === undefined && text.includes(",")) {
    throw new PolicyError("USAGE", `${option}: expected one address, found ${JSON.stringify(text)}`, {
      hint: `write ${option} once for each`,
    });
  }
  const name = quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "";
  return { name: name.trim(), address: printAddress(parseEnvelopeAddress(angle ?? text.trim())) };
}

/** As it stands in a field of the header. */
export function printCorrespondent({ name, address }: Correspondent): string {
  return name === "" ? address : `${encodePhrase(name)} <${address}>`;
}
