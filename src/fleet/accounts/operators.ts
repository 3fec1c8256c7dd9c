/** Who the operators of a directory are to be: the keys that there are, without some and with others. */

import { createHash } from "node:crypto";
import { encodeBase64Unpadded } from "#core/bytes.ts";
import { PolicyError } from "#core/errors.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";

/** As `ssh-keygen -l` shows it. @param key `TYPE BASE64` */
export function fingerprintOf(key: string): string {
  return `SHA256:${encodeBase64Unpadded(createHash("sha256").update(parsePublicKey(key).blob).digest())}`;
}

/**
 * @param operators key lines of now
 * @param add key lines
 * @param remove fingerprints (`SHA256:…`) or key lines
 * @returns key lines, at least one, sorted
 * @throws PolicyError USAGE for a key that is there already, is none of them, is named twice, or when nobody would be left
 */
export function nextOperators(
  operators: readonly string[],
  add: readonly string[],
  remove: readonly string[],
): string[] {
  const next = new Set(operators);
  for (const wanted of remove) {
    const key = operators.find((each) => each === wanted || fingerprintOf(each) === wanted);
    if (key === undefined || !next.delete(key)) {
      throw new PolicyError("USAGE", `"${wanted}" is no operator's key, or is named twice`, {
        hint: "`shoalctl directory show` lists the operators",
      });
    }
  }
  for (const key of add) {
    if (operators.includes(key) || next.has(key)) {
      throw new PolicyError("USAGE", `${fingerprintOf(key)} is an operator's key already, or is named twice`);
    }
    next.add(key);
  }
  if (next.size === 0) {
    throw new PolicyError("USAGE", "nobody would be left who can sign the next record", {
      hint: "add a new key with --add FILE.pub in the same command",
    });
  }
  return [...next].sort();
}
