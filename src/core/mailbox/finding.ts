/** What an audit may have to say, and in which words (docs/formats/mailbox-ledger.md, "Findings"). */

import type { Entry } from "./entry.ts";

export type FindingCode =
  | "BAD-HEAD"
  | "CLOCK"
  | "DEVICE-FORK"
  | "FORK"
  | "LEDGER-BROKEN"
  | "MISSING"
  | "MODIFIED"
  | "RESURRECTED"
  | "ROLLBACK"
  | "STALE"
  | "STATE-WITHHELD"
  | "UNSIGNED"
  | "WRONG-MAILBOX";

export interface Finding {
  readonly code: FindingCode;
  /** A notice can have a harmless cause that passes by itself. */
  readonly severity: "notice" | "alarm";
  /** Of the entry that it is about. */
  readonly seq?: number;
  readonly digest?: string;
  /** Name in `mail/` or `del/`. */
  readonly file?: string;
  /** One plain sentence. */
  readonly text: string;
  /** What the reader can do. */
  readonly advice: string;
  /** What exactly does not hold, for those who look into it. */
  readonly detail: string | null;
}

/** About one file, which is not opened; all others of the mailbox may be. They can be acknowledged. */
const ABOUT_ONE_FILE: ReadonlySet<FindingCode> = new Set(["MISSING", "MODIFIED", "RESURRECTED", "UNSIGNED"]);
/** With these the proof still holds for what it covers, and files may be opened. */
const HARMLESS_TO_FILES: ReadonlySet<FindingCode> = new Set(["CLOCK", "STALE", "STATE-WITHHELD"]);

export function isAboutOneFile({ code }: Finding): boolean {
  return ABOUT_ONE_FILE.has(code);
}

/** True if nothing of the mailbox may be opened. */
export function closesMailbox(finding: Finding): boolean {
  return !isAboutOneFile(finding) && !HARMLESS_TO_FILES.has(finding.code);
}

/** The same for the same trouble in every audit: what is remembered when a person has seen it. */
export function keyOf({ code, seq, file }: Finding): string {
  return `${code} ${seq ?? file ?? "-"}`;
}

const TELL = "tell the operator";
const FETCH_OR_LEDGER = "write down what this device shows, compare it with your other devices, and tell the operator";

function date(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function alarm(code: FindingCode, text: string, advice: string, detail: string | null = null): Finding {
  return { code, severity: "alarm", text, advice, detail };
}

function about({ seq, digest }: Entry, file: string | null, finding: Finding): Finding {
  return { ...finding, seq, digest, ...(file === null ? {} : { file }) };
}

const HOUR_SECONDS = 3600;
const STALE_ALARM_SECONDS = 6 * HOUR_SECONDS;

export const findings = {
  stale(headTime: number, now: number): Finding {
    const age = now - headTime;
    const ago = age < 2 * HOUR_SECONDS ? `${Math.floor(age / 60)} minutes` : `${Math.floor(age / HOUR_SECONDS)} hours`;
    return {
      code: "STALE",
      severity: age > STALE_ALARM_SECONDS ? "alarm" : "notice",
      text: `There has been no fresh proof from the mail signer for ${ago}: new mail may be held back, or the signer is down.`,
      advice: `check this device's clock; if it is right and this lasts, ${TELL}`,
      detail: `the head is of ${date(headTime)}`,
    };
  },
  clock: (headTime: number, now: number): Finding =>
    alarm(
      "CLOCK",
      "This device's clock differs from the mail signer's by more than 10 minutes.",
      `set this device's clock; if it is right, ${TELL}`,
      `the head is of ${date(headTime)}, and here it is ${date(now)}`,
    ),
  badHead: (detail: string): Finding =>
    alarm(
      "BAD-HEAD",
      "The proof of this mailbox is missing or not from the mail signer; nothing was opened.",
      TELL,
      detail,
    ),
  wrongMailbox: (account: string): Finding =>
    alarm(
      "WRONG-MAILBOX",
      "The proof is of another mailbox; nothing was opened.",
      TELL,
      `it is of the account ${account}`,
    ),
  broken: (detail: string): Finding =>
    alarm(
      "LEDGER-BROKEN",
      "The list of what was delivered is damaged or was changed; nothing was opened.",
      TELL,
      detail,
    ),
  rollback: (detail: string): Finding =>
    alarm("ROLLBACK", "The server shows an older mailbox than this device has already seen.", FETCH_OR_LEDGER, detail),
  fork: (detail: string): Finding =>
    alarm("FORK", "The mail signer tells another history than this device has already seen.", FETCH_OR_LEDGER, detail),
  deviceFork: (device: string, file: string, detail: string): Finding => ({
    ...alarm(
      "DEVICE-FORK",
      `Your device ${device} was shown another history of this mailbox than this one: the mail signer or the server is compromised.`,
      FETCH_OR_LEDGER,
      detail,
    ),
    file,
  }),
  stateWithheld: (shown: number, named: number, accepted: number): Finding =>
    alarm(
      "STATE-WITHHELD",
      `The server hides version ${named} of your account, accepted on ${date(accepted)}: a removed device may still have access.`,
      `ask another machine for the account's chain, and ${TELL}`,
      `it shows version ${shown}`,
    ),
  missing: (entry: Entry): Finding =>
    about(
      entry,
      null,
      alarm(
        "MISSING",
        `Message ${entry.seq}, delivered on ${date(entry.time)}, has vanished without a signed note of one of your devices.`,
        `if you removed it by hand, acknowledge this; if not, ${TELL} and ask the sender to send it again`,
      ),
    ),
  modified: (entry: Entry, file: string, detail: string): Finding =>
    about(
      entry,
      file,
      alarm(
        "MODIFIED",
        `Message ${entry.seq}, delivered on ${date(entry.time)}, is not what was delivered; it was not opened.`,
        `${TELL} and ask the sender to send it again`,
        detail,
      ),
    ),
  resurrected: (entry: Entry, file: string, detail: string): Finding =>
    about(
      entry,
      file,
      alarm(
        "RESURRECTED",
        `Message ${entry.seq}, delivered on ${date(entry.time)}, was removed and is back; it was not opened.`,
        `${TELL}: the server keeps or restores what was removed`,
        detail,
      ),
    ),
  neverDelivered: (file: string, detail: string): Finding => ({
    ...alarm(
      "UNSIGNED",
      "The server offers a file that was never delivered to you; it was not opened.",
      `leave it unopened and ${TELL}`,
      detail,
    ),
    file,
  }),
  forgedRecord: (file: string, detail: string): Finding => ({
    ...alarm(
      "UNSIGNED",
      "The server shows a note of removed messages that none of your devices signed; it was not believed.",
      TELL,
      detail,
    ),
    file,
  }),
} as const;
