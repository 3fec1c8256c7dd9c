/** The sender's own key for encrypted answers (Autocrypt level 1): sent where it names nobody but the one in From. */

import type { Address } from "#core/mail/address.ts";
import { printAddress } from "./envelope-address.ts";
import { printPieces } from "./folding.ts";
import type { Identity } from "./identity.ts";
import type { StrictField } from "./strict-header.ts";
import type { Warnings } from "./warnings.ts";

const VALUE = /^addr=([^;\s]{3,254}); *(?:prefer-encrypt=(mutual|nopreference); *)?keydata=([A-Za-z0-9+/= ]{1,30000})$/;
const BASE64_LINE = 76;

/** "" where it is dropped: an alias would be betrayed by the names inside the key. */
export function printAutocrypt(
  field: StrictField | undefined,
  identity: Identity,
  from: Address,
  warnings: Warnings,
): string {
  if (field === undefined) return "";
  const [, address, preference, key = ""] = VALUE.exec(field.value) ?? [];
  const isOwn = address?.toLowerCase() === printAddress(from).toLowerCase();
  if (!isOwn || !identity.isAccount || from.local.includes("+")) {
    warnings.add("dropped", field.name);
    return "";
  }
  const lines = key.replaceAll(" ", "").match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) ?? [];
  return printPieces("Autocrypt", [
    `addr=${address}; `,
    ...(preference === undefined ? [] : [`prefer-encrypt=${preference}; `]),
    "keydata= ",
    ...lines.map((line) => `${line} `),
  ]).replace(/ \r\n$/, "\r\n");
}
