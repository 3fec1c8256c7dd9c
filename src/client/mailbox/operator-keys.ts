/** Which keys sign for the operator: lines of known_hosts, under the name `operator.DOMAIN`. */

import { FormatError } from "#core/errors.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { exec, tryExec } from "#host/exec.ts";
import { exists } from "#host/files.ts";
import { sshArguments } from "#host/ssh.ts";
import { type Profile, sshOptionsOf } from "../profile.ts";

/** The name that the operator's keys stand under. */
export function operatorName(domain: string): string {
  return `operator.${domain}`;
}

/**
 * Looks in the same files that `ssh` looks up the machines in.
 * @returns `TYPE BASE64`, at least one
 * @throws FormatError CONFIG when no file has any; HostError EXEC
 */
export async function operatorKeys(profile: Profile, domain: string): Promise<Set<string>> {
  const files = await knownHostsFiles(profile);
  const lookups = files.map(async (file) => ((await exists(file)) ? await keysIn(file, operatorName(domain)) : []));
  const lines = (await Promise.all(lookups)).flat();
  const revoked = new Set(lines.filter(({ isRevoked }) => isRevoked).map(({ key }) => key));
  const keys = new Set(lines.map(({ key }) => key).filter((key) => !revoked.has(key)));
  if (keys.size > 0) return keys;
  throw new FormatError("CONFIG", `no line "${operatorName(domain)} TYPE KEY" in ${files.map(quoted).join(", ")}`, {
    hint: "the operator's key is what mail is proven by: append that line, which the operator gave you with those of the machines (shoalctl known-hosts prints it), and compare it by other means than mail",
  });
}

function quoted(file: string): string {
  return `"${file}"`;
}

/** Names of files; they need not be there. */
export async function knownHostsFiles(profile: Profile): Promise<string[]> {
  if (profile.knownHosts !== undefined) return [profile.knownHosts];
  const { stdout } = await exec("ssh", ["-G", ...sshArguments(sshOptionsOf(profile), null)], { timeoutSeconds: 30 });
  const files = [...stdout.toString("utf8").matchAll(/^(?:user|global)knownhostsfile (.*)$/gm)];
  const home = process.env["HOME"] ?? "";
  return files.flatMap(([, names = ""]) => names.split(" ").map((name) => name.replace(/^~(?=\/)/, home)));
}

/** ssh-keygen finds names that are hashed, too. */
async function keysIn(file: string, name: string): Promise<{ key: string; isRevoked: boolean }[]> {
  const { stdout } = await tryExec("ssh-keygen", ["-F", name, "-f", file], { timeoutSeconds: 30 });
  return stdout
    .toString("utf8")
    .split("\n")
    .flatMap((line) => {
      const [, marker, text] = /^(?:(@\S+)\s+)?[^#\s]\S*\s+(\S+ \S+)/.exec(line) ?? [];
      // An authority of certificates is none that signs lists.
      if (text === undefined || (marker !== undefined && marker !== "@revoked")) return [];
      return [{ key: parsePublicKey(text).line, isRevoked: marker === "@revoked" }];
    });
}
