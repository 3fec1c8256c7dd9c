/** Tells a person, or a program, what an audit has found. */

import { say } from "#cli/terminal.ts";
import { visibleLine } from "#cli/visible.ts";
import type { AuditResult } from "#core/mailbox/audit.ts";
import { type Finding, keyOf } from "#core/mailbox/finding.ts";
import type { Alert } from "./alerts.ts";

export interface Proof {
  readonly audit: AuditResult;
  /** Deliveries that expired before this computer saw them. */
  readonly expiredUnseen: number;
}

const SHOWN_FINDINGS = 3;

/** False for what can have a harmless cause: no fresh proof for some hours, a clock that is wrong. */
export function isAlarming(findings: readonly Finding[]): boolean {
  return findings.some(({ code, severity }) => severity === "alarm" && code !== "CLOCK");
}

/** @param alerts all that are not acknowledged, those of this audit among them */
export function reportProof({ audit, expiredUnseen }: Proof, alerts: readonly Alert[]): void {
  if (expiredUnseen > 0) {
    const them = expiredUnseen === 1 ? "1 message" : `${expiredUnseen} messages`;
    say("shoal", `${them} came and expired on the server since this computer was here last`);
  }
  const numbers = new Map(alerts.map((alert) => [keyOf(alert), alert.number]));
  for (const group of Map.groupBy(audit.findings, ({ code }) => code).values()) {
    for (const finding of group.slice(0, SHOWN_FINDINGS)) sayFinding(finding, numbers.get(keyOf(finding)));
    const more = group.length - SHOWN_FINDINGS;
    if (more > 0) say("shoal", `alarm: and ${more} more like this; "shoal alerts" lists them`);
    say("shoal", `hint: ${group[0]?.advice}`);
  }
  const found = new Set(audit.findings.map(keyOf));
  const older = alerts.filter((alert) => !found.has(keyOf(alert))).length;
  if (older > 0)
    say(
      "shoal",
      `${older === 1 ? "1 alert of before is" : `${older} alerts of before are`} not acknowledged: shoal alerts`,
    );
}

function sayFinding({ severity, code, text, file, detail }: Finding, number: number | undefined): void {
  const what = file === undefined ? "" : ` "${file}"`;
  const why = detail === null ? "" : ` (${detail})`;
  say("shoal", visibleLine(`${severity}${number === undefined ? "" : ` ${number}`}: ${code}${what}: ${text}${why}`));
}

/** What `--json` adds. */
export function proofInJson(proof: Proof | null, alerts: readonly Alert[]): object {
  if (proof === null) return {};
  const { audit, expiredUnseen } = proof;
  const findings = audit.findings.map(({ code, severity, seq, digest, file, text, advice, detail }) => {
    return { code, severity, seq, digest, file, text, advice, detail };
  });
  return { findings, alerts: alerts.length, expiredUnseen };
}
