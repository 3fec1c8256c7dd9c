/** What verifying a mailbox came to, for people and for programs. */

import { visibleLine } from "#cli/visible.ts";
import type { AuditResult } from "#core/mailbox/audit.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import type { Finding } from "#core/mailbox/finding.ts";
import { localTime } from "../local-time.ts";
import type { Verified } from "./scratch.ts";

/** What is known of a delivery's file. */
export type FileState = "genuine" | "removed" | "expired" | "unread" | Finding["code"];

export interface Delivery {
  readonly entry: Entry;
  readonly state: FileState;
}

/** Every delivery behind the base, with what became of its file. */
export function deliveriesOf({ result, shown }: Pick<Verified, "result" | "shown">): Delivery[] {
  const codes = new Map(
    [...result.findings, ...result.acknowledged].flatMap(({ seq, code }) => (seq === undefined ? [] : [[seq, code]])),
  );
  const genuine = new Set(result.mayOpen);
  const removed = new Set(result.records.flatMap(({ record }) => record.deleted.map(({ seq }) => seq)));
  const present = new Set(shown.mail.map(({ name }) => name));
  return result.live.map((entry) => {
    const code = codes.get(entry.seq);
    if (code !== undefined) return { entry, state: code };
    if (genuine.has(entry)) return { entry, state: "genuine" };
    if (removed.has(entry.seq)) return { entry, state: "removed" };
    return { entry, state: present.has(mailName(entry)) ? "unread" : "expired" };
  });
}

/** What is wrong. @param isCopy whose head is as old as it is */
export function findingsOf({ findings }: AuditResult, isCopy: boolean): Finding[] {
  return findings.filter(({ code }) => !(code === "STALE" && isCopy));
}

/** Of a copy: when its head was written there it was late already. That is a finding where a server is asked. */
function isOld({ findings }: AuditResult): boolean {
  return findings.some(({ code }) => code === "STALE");
}

export function printReport(verified: Verified, address: string, isCopy: boolean): string {
  const { result, standing } = verified;
  const { head } = result;
  const lines = [`account   ${address}, ${standing.id}, version ${standing.state.version}`];
  if (head !== null) {
    lines.push(
      `head      of ${localTime(head.time)}, ${head.last.seq} deliveries, ${head.base.seq} of them of no more interest`,
    );
    if (isCopy && isOld(result)) {
      lines.push(
        "          It was older than it had to be when this copy got it: perhaps the server showed an old mailbox.",
      );
    }
    const counts = new Map<FileState, number>();
    for (const { state } of deliveriesOf(verified)) counts.set(state, (counts.get(state) ?? 0) + 1);
    const words: [FileState, string][] = [
      ["genuine", "are there as they were delivered"],
      ["removed", "were removed by your devices"],
      ["expired", "are gone, and were expired or seen to be gone before"],
      ["unread", "are listed by the server, which does not give them: tell the operator"],
    ];
    for (const [state, text] of words) {
      const count = counts.get(state) ?? 0;
      if (count > 0) lines.push(`mail      ${count} ${text}`);
    }
  }
  const known = new Set(result.acknowledged);
  for (const finding of [...findingsOf(result, isCopy), ...known]) {
    lines.push(
      `${finding.code.padEnd(9)} ${finding.text}${known.has(finding) ? " (You have acknowledged that.)" : ""}`,
    );
    if (finding.file !== undefined) lines.push(`          file: ${visibleLine(finding.file)}`);
    if (finding.detail !== null) lines.push(`          ${visibleLine(finding.detail)}`);
    if (!known.has(finding)) lines.push(`          what to do: ${finding.advice}`);
  }
  if (
    findingsOf(result, isCopy).length === 0 &&
    verified.accountError === undefined &&
    verified.withheld.length === 0
  ) {
    lines.push(
      head === null ? "result    the mailbox is so new that it has no proof yet" : "result    everything holds",
    );
  }
  return `${lines.join("\n")}\n`;
}

export function jsonOf(verified: Verified, address: string, isCopy: boolean): Record<string, unknown> {
  const { result, standing } = verified;
  return {
    address,
    account: standing.id,
    version: standing.state.version,
    head: result.head,
    ...(isCopy ? { headWasOld: isOld(result) } : {}),
    findings: findingsOf(result, isCopy),
    acknowledged: result.acknowledged,
    accountError: verified.accountError instanceof Error ? verified.accountError.message : null,
    entries: deliveriesOf(verified).map(({ entry, state }) => ({ ...entry, state })),
  };
}
