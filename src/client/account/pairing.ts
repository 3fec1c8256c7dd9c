/** The line that a new device prints and the device with the master key takes: which account, and which keys for what. */

import { createHash } from "node:crypto";
import { accountNameMistake } from "#core/account/names.ts";
import type { Device } from "#core/account/state.ts";
import { parseRecipient } from "#core/age/recipient.ts";
import { FormatError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { printUses } from "./devices.ts";

export interface Pairing {
  readonly name: string;
  readonly domain: string;
  readonly devices: readonly Device[];
}

const WORD = "shoal-device";
const MAX_CHARACTERS = 16_384;
const CHECK_CHARACTERS = 8;
const CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_GROUPS = 4;
const CODE_GROUP = 4;

/**
 * `shoal-device:NAME@DOMAIN:USES:KEY[:USES:KEY]…:CHECK`, where KEY is `TYPE:BASE64` or `age1…`, and CHECK the first 8
 * hexadecimal digits of the SHA-256 of all that stands before its colon: it tells a line that was copied badly.
 */
export function printPairing(pairing: Pairing): string {
  const text = textOf(pairing);
  return `${text}:${checkOf(text)}`;
}

/**
 * What both devices show and their person compares: 80 bits of a hash over the whole line, as four groups of four.
 */
export function pairingCode(pairing: Pairing): string {
  const hash = createHash("sha256")
    .update(`shoal-device-code/v1\n${textOf(pairing)}`)
    .digest();
  let bits = BigInt(`0x${hash.toString("hex")}`) >> BigInt(256 - 5 * CODE_GROUPS * CODE_GROUP);
  let code = "";
  for (let index = 0; index < CODE_GROUPS * CODE_GROUP; index++) {
    code = `${CODE_ALPHABET[Number(bits & 31n)] ?? ""}${index > 0 && index % CODE_GROUP === 0 ? "-" : ""}${code}`;
    bits >>= 5n;
  }
  return code;
}

/**
 * Blanks and line ends inside are taken away first: mail programs and terminals break long lines.
 * @throws FormatError KEY
 */
export function parsePairing(line: string): Pairing {
  const fail = (expected: string): never => {
    throw new FormatError("KEY", `pairing text: expected ${expected}`, {
      hint: 'copy the whole line that "shoal init" printed on the new device, from "shoal-device:" to its end',
    });
  };
  if (line.length > MAX_CHARACTERS) fail(`at most ${MAX_CHARACTERS} characters`);
  const whole = line.replaceAll(/\s/g, "");
  const text = whole.slice(0, -CHECK_CHARACTERS - 1);
  if (!text.startsWith(`${WORD}:`)) fail(`"${WORD}:" at its start`);
  if (whole !== `${text}:${checkOf(text)}`) fail("the check digits at its end to fit: it is damaged or not all there");
  const [, address = "", ...parts] = text.split(":");
  const [name = "", domain = ""] = address.split("@");
  if (`${name}@${domain}` !== address || accountNameMistake(name) !== null || !isDomain(domain)) fail("NAME@DOMAIN");
  const devices: Device[] = [];
  for (let at = 0; at < parts.length; ) {
    const uses = /^(auth|seal|auth,seal)$/.exec(parts[at++] ?? "")?.[1] ?? fail("auth, seal or auth,seal");
    const first = parts[at++] ?? "";
    const key = first.startsWith("age1") ? first : `${first} ${parts[at++] ?? ""}`;
    const canonical = key.startsWith("age1") ? parseRecipient(key).text : parsePublicKey(key).line;
    if (canonical !== key) fail("keys in their one canonical form");
    devices.push({ auth: uses.startsWith("auth"), seal: uses.endsWith("seal"), key });
  }
  if (devices.length === 0) fail("a key");
  return { name, domain, devices };
}

function textOf({ name, domain, devices }: Pairing): string {
  const keys = devices.map((device) => `${printUses(device)}:${device.key.replace(" ", ":")}`);
  return [WORD, `${name}@${domain}`, ...keys].join(":");
}

function checkOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, CHECK_CHARACTERS);
}
