/** Mail addresses as SMTP names them, and the account behind one. */

const ACCOUNT = /^[a-z0-9][a-z0-9._-]{0,31}$/;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** RFC 5322's atext and dots: what needs no quotes. */
const LOCAL = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/;
const MAX_DOMAIN_CHARACTERS = 253;

export interface Address {
  /** As written: how case matters is the receiver's business. */
  readonly local: string;
  /** In lower case. */
  readonly domain: string;
}

/** True for names of accounts: 1 to 32 of `a-z 0-9 . _ -`, a letter or digit first. */
export function isAccountName(text: string): boolean {
  return ACCOUNT.test(text);
}

/** True for a domain name in lower case, without a final dot. */
export function isDomain(text: string): boolean {
  return text.length <= MAX_DOMAIN_CHARACTERS && text.split(".").every((label) => LABEL.test(label));
}

/**
 * Parses `local@domain` (RFC 5321 section 4.1.2, without angle brackets). Null for quoted local parts, address literals,
 * anything outside ASCII, and what is no address.
 */
export function parseAddress(text: string): Address | null {
  const at = text.lastIndexOf("@");
  const local = text.slice(0, Math.max(0, at));
  const domain = text.slice(at + 1).toLowerCase();
  return LOCAL.test(local) && isDomain(domain) ? { local, domain } : null;
}

/**
 * The name of the account that an address of `domain` belongs to, if there is such an account: the local part in lower
 * case without its sub-address (`Alice+shop@` is `alice`). Null for addresses that can't be an account's.
 */
export function accountOf(address: string, domain: string): string | null {
  const parsed = parseAddress(address);
  if (parsed === null || parsed.domain !== domain.toLowerCase()) return null;
  const [name = ""] = parsed.local.toLowerCase().split("+");
  return isAccountName(name) ? name : null;
}
