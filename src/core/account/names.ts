/** Which names an account may have (docs/formats/directory.md, "Names"). */

/** 1 to 31 characters, a letter or digit first and last. */
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,29}[a-z0-9])?$/;

/**
 * Users and groups that a machine has for itself: ours, and those of Debian's and OpenBSD's base systems (OpenBSD's
 * others begin with "_", which no account does). Names that begin with "shoal-" are ours, too.
 */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(
  [
    "root sshd deposit usage incoming courier seal front ledger proposals smtpd smtpmail",
    "adm audio backup bin cdrom clock crontab daemon dialout dip disk fax floppy games input irc kmem kvm lp list mail man",
    "messagebus netdev news nobody nogroup operator plugdev polkitd proxy render sasl sgx shadow src ssh ssl-cert staff",
    "sudo sync sys tape tty users utmp uucp uuidd video voice www-data opensmtpd opensmtpq opensmtpf systemd-journal systemd-network",
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
  if (!NAME.test(name)) {
    return 'an account name: 1 to 31 of a-z, 0-9, "." and "-", a letter or digit first and last';
  }
  if (name.includes("..")) return "an account name whose dots each stand between other characters";
  if (/^[0-9]+$/.test(name)) return "an account name that is not a number";
  if (RESERVED_NAMES.has(name) || name.startsWith("shoal-")) return "an account name that no machine uses for itself";
  return null;
}
