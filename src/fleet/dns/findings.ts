/** What a check of DNS has found, and how people read it. Pure. */

import { visibleLine } from "#cli/visible.ts";

export interface Finding {
  /**
   * `superfluous`: beside what is needed stands something that harms nothing by itself; `note`: worth knowing. The other two
   * keep mail from coming, or from being believed.
   */
  state: "right" | "missing" | "wrong" | "superfluous" | "note";
  /** A record type, or what else was looked at: SMTP, MAIL, POLICY. */
  type: string;
  /** Of the record, machine or way. */
  name: string;
  /** Null where nothing is expected. */
  expected: string | null;
  found: readonly string[];
  /** What to do; null where there is nothing to do. */
  advice: string | null;
}

/** Whether nothing has to be done. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ state }) => state !== "missing" && state !== "wrong");
}

/** Lines for people; what is right takes one. Found text is a stranger's: it can't steer the terminal. */
export function printFindings(findings: readonly Finding[]): string {
  return findings.map(printFinding).join("");
}

function printFinding({ state, type, name, expected, found, advice }: Finding): string {
  const head = `${state.padEnd(11)} ${type.padEnd(6)} ${visibleLine(name)}\n`;
  if (state === "right") return head;
  const lines = [
    ...(expected === null ? [] : [`expected  ${expected}`]),
    ...(found.length > 0 ? found.map((one) => `found     ${one}`) : state === "missing" ? ["found     nothing"] : []),
    ...(advice === null ? [] : [`do        ${advice}`]),
  ];
  return head + lines.map((line) => `            ${visibleLine(line)}\n`).join("");
}
