/** Neutral package names -> Debian 13 packages. */

const table: Readonly<Record<string, readonly string[]>> = {
  base: ["runit", "iproute2"],
  "smtp-server": ["opensmtpd", "ca-certificates"],
  "smtp-filter-rspamd": ["opensmtpd-filter-rspamd"],
  rspamd: ["rspamd"],
  "ssh-server": ["openssh-server", "openssh-sftp-server"],
  "ssh-client": ["openssh-client"],
  age: ["age"],
  netcat: ["netcat-openbsd"],
  node: ["libatomic1"],
  "validating-resolver": ["unbound", "dns-root-data"],
};

const extra = new Map<string, readonly string[]>();

/** Names more packages, for machines that are not ours (the test internet). */
export function defineDebianPackages(names: Readonly<Record<string, readonly string[]>>): void {
  for (const [name, packages] of Object.entries(names)) extra.set(name, packages);
}

/** Debian packages for neutral names, sorted, without doubles. */
export function debianPackages(names: readonly string[]): string[] {
  const found = new Set<string>();
  for (const name of ["base", ...names]) {
    const packages = table[name] ?? extra.get(name);
    if (packages === undefined) throw new TypeError(`no Debian package is known for "${name}"`);
    for (const one of packages) found.add(one);
  }
  return [...found].sort();
}
