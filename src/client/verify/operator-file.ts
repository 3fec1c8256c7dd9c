/** The operator's keys from a file that the reader names: for who has no profile. */

import { FormatError } from "#core/errors.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { readBounded } from "#host/files.ts";

const MAX_BYTES = 1024 * 1024;

/**
 * Takes public key files (`TYPE KEY`), lines of known_hosts under `operator.DOMAIN`, and lines of allowed signers for
 * `operator`; other names' lines are passed over.
 * @returns `TYPE BASE64`, at least one
 * @throws FormatError CONFIG when there is none, KEY
 */
export async function operatorKeysIn(path: string, domain: string): Promise<Set<string>> {
  const text = (await readBounded(path, MAX_BYTES)).toString("utf8");
  const keys = new Set<string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, key] =
      /^(?:(\S+) (?:[a-z-]+="[^"]*"(?:,[a-z-]+="[^"]*")* )?)?(\S+ AAAA\S+)(?: .*)?$/.exec(line) ?? [];
    const isOperator = name === undefined || name === "operator" || name.split(",").includes(`operator.${domain}`);
    if (key !== undefined && isOperator) keys.add(parsePublicKey(key).line);
  }
  if (keys.size > 0) return keys;
  throw new FormatError("CONFIG", `"${path}" holds no key of the operator of ${domain}`, {
    hint: `expected a line "TYPE KEY", or "operator.${domain} TYPE KEY" as in known_hosts`,
  });
}
