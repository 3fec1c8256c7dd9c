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

/**
 * Users and groups that a machine has for itself: ours, and those of Debian's and OpenBSD's base systems (OpenBSD's
 * others begin with "_", which no account does).
 */
const RESERVED = new Set(
  [
    "root sshd deposit usage incoming courier seal front smtpd smtpmail",
    "adm audio backup bin cdrom clock crontab daemon dialout dip disk fax floppy games input irc kmem kvm lp list mail man",
    "messagebus news nobody nogroup operator plugdev polkitd proxy render sasl sgx shadow src staff sudo sync sys tape tty",
    "users utmp uucp uuidd video voice www-data opensmtpd opensmtpq opensmtpf systemd-journal systemd-network",
    "systemd-resolve systemd-timesync auth authpf build dialer guest network ntp procmap wheel www wsrc",
  ]
    .join(" ")
    .split(" "),
);

/**
 * What is expected of an account name that is not valid, else null. The name is a Unix user and the local part of an
 * address, so it must be a dot-atom (RFC 5321 section 4.1.2) too, and not a number, which tools would take for a user id.
 */
export function accountNameMistake(name: string): string | null {
  if (!/^[a-z0-9][a-z0-9._-]{0,31}$/.test(name)) {
    return 'an account name: 1 to 32 of a-z, 0-9, ".", "_", "-", a letter or digit first';
  }
  if (name.endsWith(".") || name.includes(".."))
    return "an account name whose dots each stand between other characters";
  if (/^[0-9]+$/.test(name)) return "an account name that is not a number";
  if (RESERVED.has(name)) return "an account name that no machine uses for itself";
  return null;
}
