/** Findings of audits, kept until a person has acknowledged them: the file `alerts.json`. */

import * as v from "valibot";
import { HostError } from "#core/errors.ts";
import { type Finding, isAboutOneFile, keyOf } from "#core/mailbox/finding.ts";
import { acknowledge } from "#core/mailbox/memory.ts";
import type { MailboxState } from "./state.ts";

const MAX_BYTES = 64 * 1024 * 1024;
/** What does not fit is found again when there is room. */
const MAX_ALERTS = 10_000;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const alertSchema = v.strictObject({
  /** For people to name it by; never used again. */
  number: count,
  code: v.picklist([
    "BAD-HEAD",
    "CLOCK",
    "DEVICE-FORK",
    "FORK",
    "LEDGER-BROKEN",
    "MISSING",
    "MODIFIED",
    "RESURRECTED",
    "ROLLBACK",
    "STALE",
    "STATE-WITHHELD",
    "UNSIGNED",
    "WRONG-MAILBOX",
  ]),
  severity: v.picklist(["notice", "alarm"]),
  seq: v.exactOptional(count),
  digest: v.exactOptional(v.string()),
  file: v.exactOptional(v.string()),
  text: v.string(),
  advice: v.string(),
  detail: v.nullable(v.string()),
  /** When it was found first and last, Unix seconds by this computer's clock. */
  first: count,
  last: count,
});

const fileSchema = v.strictObject({
  version: v.literal(1),
  next: count,
  /** The account is not told here: the memory says whose they are. */
  alerts: v.array(alertSchema),
});

export interface Alert extends Finding {
  readonly number: number;
  readonly first: number;
  readonly last: number;
}

interface Kept {
  readonly next: number;
  readonly alerts: readonly Alert[];
}

/** Whoever changes them holds the profile's lock. */
export class Alerts {
  readonly #state: MailboxState;

  constructor(state: MailboxState) {
    this.#state = state;
  }

  /** By number. @throws HostError FILE when the file is damaged */
  async list(): Promise<readonly Alert[]> {
    return (await this.#load()).alerts;
  }

  /** Adds what an audit has found. A notice that it has not found again is gone: it has passed. */
  async note(findings: readonly Finding[], now: number): Promise<void> {
    const kept = await this.#load();
    const after = noteFindings(kept, findings, now);
    if (after.alerts.length > 0 || kept.alerts.length > 0) await this.#save(after);
  }

  /**
   * Takes alerts off the list. What is about one file is not found again; what is about the mailbox is, as long as it lasts.
   * @param account whose memory is told; null while none is known
   * @returns those that were on the list
   */
  async acknowledge(numbers: ReadonlySet<number> | "all", account: string | null): Promise<readonly Alert[]> {
    const kept = await this.#load();
    const chosen = kept.alerts.filter(({ number }) => numbers === "all" || numbers.has(number));
    let memory = account === null ? null : await this.#state.memory(account);
    for (const alert of chosen) {
      if (memory !== null && isAboutOneFile(alert)) memory = acknowledge(memory, alert) ?? memory;
    }
    // The memory first: after a crash between them the alert is there still, and can be acknowledged again.
    if (memory !== null) await this.#state.remember(memory);
    await this.#save({ ...kept, alerts: kept.alerts.filter((alert) => !chosen.includes(alert)) });
    return chosen;
  }

  async #load(): Promise<Kept> {
    const text = await this.#state.alertsText(MAX_BYTES);
    if (text === null) return { next: 1, alerts: [] };
    const parsed = v.safeParse(fileSchema, parseJson(text));
    if (parsed.success) return parsed.output;
    throw new HostError("FILE", "the list of alerts is damaged", {
      hint: `move "${this.#state.alertsPath}" away: what is wrong with the mailbox still is found again`,
    });
  }

  async #save({ next, alerts }: Kept): Promise<void> {
    await this.#state.setAlertsText(`${JSON.stringify({ version: 1, next, alerts }, undefined, 1)}\n`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is no list either.
    return undefined;
  }
}

function noteFindings({ next, alerts }: Kept, findings: readonly Finding[], now: number): Kept {
  const found = new Map(findings.map((finding) => [keyOf(finding), finding]));
  const known = new Set(alerts.map(keyOf));
  const stay = alerts
    .filter((alert) => alert.severity !== "notice" || found.has(keyOf(alert)))
    .map((alert) => {
      const again = found.get(keyOf(alert));
      return again === undefined ? alert : { ...alert, ...again, last: now };
    });
  const fresh = [...found.values()]
    .filter((finding) => !known.has(keyOf(finding)))
    .slice(0, Math.max(0, MAX_ALERTS - stay.length))
    .map((finding, index) => ({ ...finding, number: next + index, first: now, last: now }));
  return { next: next + fresh.length, alerts: [...stay, ...fresh] };
}
