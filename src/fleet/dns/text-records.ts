/**
 * TXT records by what they mean and not by their letters: who publishes more than `shoalctl dns` prints may have reasons.
 * Pure.
 */

import { parseAddress } from "#fleet/definition/network.ts";
import type { Finding } from "./findings.ts";

const PUBLISH = "publish it as `shoalctl dns` prints it";

export interface Expected {
  name: string;
  expected: string;
}

/** SPF (RFC 7208): one record that allows all of our addresses and ends in a refusal. */
export function judgeSenders(wanted: Expected, records: readonly string[]): Finding[] {
  const found = records.filter((record) => /^v=spf1(?: |$)/i.test(record));
  const [record] = found;
  if (record === undefined) return [missing(wanted)];
  if (found.length > 1) return [wrong(wanted, found, "keep one of them: several count as a mistake, and so as none")];
  const terms = record.toLowerCase().split(/ +/).slice(1).filter(Boolean);
  const ours = wanted.expected.split(" ").filter((term) => term.startsWith("ip4:"));
  const lacking = ours.filter((term) => !terms.some((one) => covers(one, term.slice("ip4:".length))));
  if (lacking.length > 0) return [wrong(wanted, found, `add ${lacking.join(" ")}: mail comes from there`)];
  const end = terms.find((term) => /^[-+~?]?all$/.test(term));
  if (end === undefined || !/^[-~]/.test(end)) {
    return [wrong(wanted, found, 'end it in "-all": so it keeps nobody from sending in the domain\'s name')];
  }
  const right = rightly(wanted, found);
  const others = terms.filter((term) => term !== end && !ours.some((our) => term === our || term === `+${our}`));
  if (others.length === 0) return [right];
  const advice = "remove what is not yours: whoever it allows may send in the domain's name";
  return [right, { ...right, state: "superfluous", expected: null, found: others, advice }];
}

/** Whether `term` is an `ip4` mechanism that lets the address pass. */
function covers(term: string, address: string): boolean {
  const [, base = "", length = "32"] = /^\+?ip4:([0-9.]+)(?:\/(\d{1,2}))?$/.exec(term) ?? [];
  const [first, second] = [parseAddress(base), parseAddress(address)];
  if (first === null || second === null || Number(length) > 32) return false;
  const size = 2 ** (32 - Number(length));
  return Math.floor(first / size) === Math.floor(second / size);
}

/** DKIM (RFC 6376 section 3.6.1): the same key, good for mail, not in testing. */
export function judgeKey(wanted: Expected, records: readonly string[]): Finding {
  const ours = tagsOf(wanted.expected);
  const isRevoked = ours.get("p") === "";
  const [record] = records;
  // A key that is not there is as dead as one that is revoked.
  if (record === undefined) return isRevoked ? rightly(wanted, []) : missing(wanted);
  if (records.length > 1) return wrong(wanted, records, "keep one record: of several, anyone may count");
  const tags = tagsOf(record);
  if (isRevoked) {
    const advice = "revoke it: somebody else may have this key, and sign mail as the domain's";
    return tags.get("p") === "" ? rightly(wanted, records) : wrong(wanted, records, advice);
  }
  if (tags.get("p") === "") return wrong(wanted, records, `${PUBLISH}: so it says that the key is revoked`);
  if (tags.get("p") !== ours.get("p") || (tags.get("k") ?? "rsa") !== ours.get("k")) {
    return wrong(wanted, records, `${PUBLISH}: this is another key, with which no signature of ours fits`);
  }
  const version = tags.get("v") ?? "DKIM1";
  const services = (tags.get("s") ?? "*").split(":");
  const hashes = tags.get("h");
  const isForMail = services.includes("*") || services.includes("email");
  if (version !== "DKIM1" || !isForMail || (hashes !== undefined && !hashes.split(":").includes("sha256"))) {
    return wrong(wanted, records, PUBLISH);
  }
  if ((tags.get("t") ?? "").split(":").includes("y")) {
    return wrong(wanted, records, 'remove "t=y": it says that the signatures are only being tried and mean nothing');
  }
  return rightly(wanted, records);
}

/** DMARC (RFC 7489 section 6.3): one record that has forged mail refused or put aside. */
export function judgeAlignment(wanted: Expected, records: readonly string[]): Finding {
  const found = records.filter((record) => /^v=DMARC1 *(?:;|$)/.test(record));
  const [record] = found;
  if (record === undefined) return missing(wanted);
  if (found.length > 1) return wrong(wanted, found, "keep one of them: several count as none");
  const tags = tagsOf(record);
  const policies = [tags.get("p"), tags.get("sp") ?? tags.get("p")];
  if (!policies.every((policy) => policy === "reject" || policy === "quarantine")) {
    return wrong(
      wanted,
      found,
      'say "p=reject" (or "quarantine"): so mail that others send in the domain\'s name is taken',
    );
  }
  const share = tags.get("pct") ?? "100";
  if (share !== "100") return wrong(wanted, found, `remove "pct=${share}": it has only a part of forged mail refused`);
  return rightly(wanted, found);
}

/** MTA-STS (RFC 8461 section 3.1): the id that belongs to the policy. */
export function judgePolicyId(wanted: Expected, records: readonly string[]): Finding {
  const found = records.filter((record) => /^v=STSv1[ \t]*(?:;|$)/.test(record));
  const [record] = found;
  if (record === undefined) return missing(wanted);
  if (found.length > 1) return wrong(wanted, found, "keep one of them: several count as none");
  if (tagsOf(record).get("id") === tagsOf(wanted.expected).get("id")) return rightly(wanted, found);
  return wrong(
    wanted,
    found,
    "put the policy's file in place, then this id: senders fetch it again only when the id changes",
  );
}

/** TLSRPT (RFC 8460 section 3): one record, wherever the reports go. */
export function judgeReports(wanted: Expected, records: readonly string[]): Finding {
  const found = records.filter((record) => /^v=TLSRPTv1[ \t]*(?:;|$)/.test(record));
  const [record] = found;
  if (record === undefined) return missing(wanted);
  if (found.length > 1) return wrong(wanted, found, "keep one of them: several count as none");
  if (!/^(?:mailto|https):\S/.test(tagsOf(record).get("rua") ?? "")) return wrong(wanted, found, PUBLISH);
  return rightly(wanted, found);
}

/** `v=X; name=value`: names to values without blanks; the first of a name counts. */
function tagsOf(record: string): Map<string, string> {
  const tags = new Map<string, string>();
  for (const part of record.split(";")) {
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(0, at)).trim();
    if (at > 0 && !tags.has(name)) tags.set(name, part.slice(at + 1).replaceAll(/[ \t]/g, ""));
  }
  return tags;
}

function rightly({ name, expected }: Expected, found: readonly string[]): Finding {
  return { state: "right", type: "TXT", name, expected, found, advice: null };
}

function missing({ name, expected }: Expected): Finding {
  return { state: "missing", type: "TXT", name, expected, found: [], advice: PUBLISH };
}

function wrong({ name, expected }: Expected, found: readonly string[], advice: string): Finding {
  return { state: "wrong", type: "TXT", name, expected, found, advice };
}
