/** What a stranger's filter makes of our mail: rspamd's symbols, in words. Pure. */

import type { Finding } from "./findings.ts";
import type { Verdict } from "./machines.ts";

export interface Wanted {
  domain: string;
  /** Selectors that sign. */
  selectors: readonly string[];
}

/**
 * Right when each signature is valid, the address may send, and DMARC passes.
 * @param name of the way that the message went
 */
export function judgeVerdict(name: string, verdict: Verdict, { domain, selectors }: Wanted): Finding {
  const results = [
    ...selectors.map((selector) => `DKIM ${selector} ${signatureResult(verdict, `${domain}:s=${selector}`)}`),
    `SPF ${resultOf(verdict, spfSymbols)}`,
    `DMARC ${resultOf(verdict, dmarcSymbols)}`,
  ];
  const expected = results.map((result) => result.replace(/\S+$/, "pass"));
  const failed = results.filter((result) => !result.endsWith(" pass"));
  const advice = failed.length === 0 ? null : adviceFor(failed);
  return {
    ...{ state: failed.length === 0 ? "right" : "wrong", type: "MAIL", name },
    ...{ expected: expected.join(", "), found: [results.join(", ")], advice },
  };
}

/** Symbols of rspamd's modules spf, dkim and dmarc, and result names of RFC 8601. */
const dkimSymbols = [
  ["R_DKIM_ALLOW", "pass"],
  ["R_DKIM_REJECT", "fail"],
  ["R_DKIM_TEMPFAIL", "temperror"],
  ["R_DKIM_PERMFAIL", "permerror"],
] as const;
const spfSymbols = [
  ["R_SPF_ALLOW", "pass"],
  ["R_SPF_FAIL", "fail"],
  ["R_SPF_SOFTFAIL", "softfail"],
  ["R_SPF_NEUTRAL", "neutral"],
  ["R_SPF_DNSFAIL", "temperror"],
  ["R_SPF_PERMFAIL", "permerror"],
] as const;
const dmarcSymbols = [
  ["DMARC_POLICY_ALLOW", "pass"],
  ["DMARC_POLICY_REJECT", "fail"],
  ["DMARC_POLICY_QUARANTINE", "fail"],
  ["DMARC_POLICY_SOFTFAIL", "fail"],
  ["DMARC_DNSFAIL", "temperror"],
  ["DMARC_BAD_POLICY", "permerror"],
] as const;

function signatureResult(verdict: Verdict, key: string): string {
  const found = dkimSymbols.find(([symbol]) => verdict.get(symbol)?.some((option) => option.startsWith(key)) === true);
  return found?.[1] ?? "none";
}

function resultOf(verdict: Verdict, symbols: readonly (readonly [string, string])[]): string {
  return symbols.find(([symbol]) => verdict.has(symbol))?.[1] ?? "none";
}

function adviceFor(failed: readonly string[]): string {
  if (failed.some((result) => result.startsWith("DKIM") && result.endsWith(" none"))) {
    return "mail leaves unsigned by that key: `shoalctl up` gives machines `out` the keys, `shoalctl logs out` says what fails";
  }
  if (failed.some((result) => result.startsWith("DKIM"))) {
    return "put the DKIM records right first; if they are, something changes mail on its way out of smtpd";
  }
  if (failed.some((result) => result.startsWith("SPF"))) {
    return "put the SPF record right first; if it is, mail leaves from another address than the definition says";
  }
  return "put the DMARC record right";
}
