/** Addresses that mail can be sent to, or come from, through this system: a part of RFC 5321's, and why not the rest. */

import { FormatError } from "#core/errors.ts";
import { type Address, isDomain, parseAddress } from "#core/mail/address.ts";
import { quoted } from "./mistake.ts";

const MAX_LOCAL_CHARACTERS = 64;
/** RFC 5321 section 4.5.3.1.3, without the angle brackets. */
const MAX_ADDRESS_CHARACTERS = 254;

/**
 * Parses `local@domain`.
 * @throws FormatError RECIPIENT, saying what was expected
 */
export function parseEnvelopeAddress(text: string): Address {
  const reason = whyNot(text);
  if (reason !== null) throw new FormatError("RECIPIENT", `the address ${quoted(text)}: ${reason}`);
  const address = parseAddress(text);
  if (address === null) throw new FormatError("RECIPIENT", `the address ${quoted(text)}: expected local@domain`);
  return address;
}

/** How the address is written in the envelope: the local part as it came, the domain in lower case. */
export function printAddress({ local, domain }: Address): string {
  return `${local}@${domain}`;
}

/** What forbids sending to it, or null. Only what every receiver reads alike is allowed. */
function whyNot(text: string): string | null {
  if (/[\0-\x20\x7f]/.test(text)) return "expected no blanks and no control characters";
  if (/[^\0-\x7f]/.test(text)) return "expected ASCII (write a domain as xn--…)";
  if (text.includes('"')) return "expected no quotes in the local part";
  if (/^@|^<@/.test(text)) return "expected no route in front of the address";
  if (/[<>(),;:\\]/.test(text.replace(/@\[.*\]$/, ""))) return "expected local@domain alone";
  const at = text.lastIndexOf("@");
  if (at <= 0) return "expected local@domain";
  const local = text.slice(0, at);
  const domain = text.slice(at + 1);
  if (domain.startsWith("[")) return "expected the name of a domain, not the address of a machine";
  if (text.length > MAX_ADDRESS_CHARACTERS) return `expected at most ${MAX_ADDRESS_CHARACTERS} characters`;
  return whyNotLocal(local) ?? whyNotDomain(domain);
}

function whyNotLocal(local: string): string | null {
  if (local.includes("@")) return "expected one @";
  // Old machines pass on what stands behind these marks: no address of today needs them.
  if (local.includes("%")) return "expected no % in the local part (a route through another machine)";
  if (local.includes("!")) return "expected no ! in the local part (a route through another machine)";
  if (/^\.|\.$|\.\./.test(local)) return "expected no dot at the start or end of the local part, nor two in a row";
  if (local.startsWith("-")) return "expected no - at the start (it could pass for an option)";
  if (local.startsWith("|") || local.startsWith("/")) return "expected no | or / at the start (a program or a file)";
  if (local.length > MAX_LOCAL_CHARACTERS) return `expected at most ${MAX_LOCAL_CHARACTERS} characters before the @`;
  return null;
}

function whyNotDomain(domain: string): string | null {
  if (domain.endsWith(".")) return "expected no dot at the end";
  if (!isDomain(domain.toLowerCase())) return `expected the name of a domain behind the @, found ${quoted(domain)}`;
  if (!domain.includes(".")) return "expected a domain with a dot";
  if (/\.[0-9]+$/.test(domain)) return "expected the name of a domain, not the address of a machine";
  return null;
}
