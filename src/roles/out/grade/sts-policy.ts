/** The two texts of MTA-STS (RFC 8461 section 3): the TXT record that announces a policy, and the policy. Pure. */

import { FormatError } from "#core/errors.ts";
import { isDomain } from "#core/mail/address.ts";

const maxPatterns = 100;
const maxLines = 500;
/** RFC 8461 section 3.2: about a year. */
const maxAgeSeconds = 31_557_600;

export interface StsPolicy {
  readonly mode: "enforce" | "testing" | "none";
  readonly maxAgeSeconds: number;
  /** Host names in lower case; a first label `*` stands for exactly one label. */
  readonly mx: readonly string[];
}

/**
 * The id of the one record that announces a policy. Null if there is none: that is so for several, too, and for one that is
 * malformed (section 3.1).
 */
export function announcedId(records: readonly string[]): string | null {
  const announcing = records.filter((record) => /^v=STSv1[ \t]*(;|$)/.test(record));
  const [record] = announcing;
  if (record === undefined || announcing.length > 1) return null;
  const fields = record.replace(/;[ \t]*$/, "").split(";");
  let id: string | null = null;
  for (const field of fields.slice(1)) {
    const match = /^[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)[ \t]*$/.exec(field);
    if (match === null) return null;
    if (match[1] !== "id") continue;
    if (id !== null || match[2] === undefined || !/^[A-Za-z0-9]{1,32}$/.test(match[2])) return null;
    id = match[2];
  }
  return id;
}

/**
 * Lines end in LF or CRLF. Fields that the RFC does not name are passed over, as it demands.
 * @throws FormatError STS-POLICY
 */
export function parseStsPolicy(text: string): StsPolicy {
  const fields = new Map<string, string>();
  const mx: string[] = [];
  const lines = text.replace(/\r?\n$/, "").split(/\r?\n/);
  if (lines.length > maxLines) throw new FormatError("STS-POLICY", `the policy has more than ${maxLines} lines`);
  for (const [index, line] of lines.entries()) {
    const match = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(\S(?:.*\S)?)[ \t]*$/.exec(line);
    const [, key = "", value = ""] = match ?? [];
    if (match === null) throw new FormatError("STS-POLICY", `line ${index + 1} of the policy is no field`);
    if (key === "mx") mx.push(parsePattern(value));
    // The first one counts (section 3.2).
    else if (!fields.has(key)) fields.set(key, value);
  }
  if (fields.get("version") !== "STSv1") throw new FormatError("STS-POLICY", 'the policy lacks "version: STSv1"');
  const mode = fields.get("mode");
  if (mode !== "enforce" && mode !== "testing" && mode !== "none") {
    throw new FormatError("STS-POLICY", 'the policy\'s mode is none of "enforce", "testing" and "none"');
  }
  const age = fields.get("max_age") ?? "";
  if (!/^[0-9]{1,10}$/.test(age)) throw new FormatError("STS-POLICY", "the policy's max_age is no number of seconds");
  if (mode !== "none" && mx.length === 0) throw new FormatError("STS-POLICY", "the policy allows no mail server");
  if (mx.length > maxPatterns)
    throw new FormatError("STS-POLICY", `the policy has more than ${maxPatterns} mail servers`);
  return { mode, maxAgeSeconds: Math.min(Number(age), maxAgeSeconds), mx };
}

/** True if the policy allows the mail server `host` (section 4.1). */
export function allowsMx({ mx }: StsPolicy, host: string): boolean {
  const parent = host.slice(host.indexOf(".") + 1);
  return mx.some((pattern) =>
    pattern.startsWith("*.") ? host.includes(".") && pattern.slice(2) === parent : pattern === host,
  );
}

function parsePattern(text: string): string {
  const pattern = text.toLowerCase();
  const name = pattern.startsWith("*.") ? pattern.slice(2) : pattern;
  if (!isDomain(name)) throw new FormatError("STS-POLICY", "the policy names a mail server that is no host name");
  return pattern;
}
