/** Which names a definition may give. */

/** Names of the fleet and of sites; they become part of namespace and interface names, which are short. */
export const SHORT_NAME = /^[a-z][a-z0-9]{0,9}$/;
export const SHORT_NAME_EXPECTED = "1 to 10 characters: lower-case letters and digits, a letter first";

/** A network namespace that somebody else made: `netns:NAME`. */
export const NAMESPACE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
/** Room for the machine's own labels in front, within the 253 characters of a host name (RFC 1035 section 2.3.4). */
const MAX_DOMAIN = 200;

export const DOMAIN_EXPECTED = `a domain in lower case with at least two labels and at most ${MAX_DOMAIN} characters, as in "example.org"`;

/** Whether this is a host name (RFC 1123 section 2.1) of two or more labels; internationalised names in their `xn--` form. */
export function isDomain(text: string): boolean {
  const labels = text.split(".");
  return (
    text.length <= MAX_DOMAIN &&
    labels.length >= 2 &&
    labels.every((label) => LABEL.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? "")
  );
}
