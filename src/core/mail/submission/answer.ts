/** What the sender is told: an exit status and lines, for people or as JSON (docs/formats/submission.md, "Answers"). */

import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import type { PreparedSubmission } from "./prepare.ts";
import type { SubmissionWarning } from "./warnings.ts";

/** Exit statuses of `sysexits.h`, as sendmail programs use them. */
export const SUBMISSION_STATUS = {
  accepted: 0,
  usage: 64,
  data: 65,
  recipient: 67,
  temporary: 75,
  denied: 77,
} as const;

export interface SubmissionAnswer {
  readonly status: number;
  /** Without line ends; printable. */
  readonly lines: readonly string[];
}

const SAYINGS: Readonly<Record<SubmissionWarning["kind"], string>> = {
  added: "added",
  dropped: "not sent",
  left: "sent as it is",
  rewritten: "sent in another form",
};

/** Only for a message that is safely stored: that is for the caller to know. */
export function acceptedAnswer(prepared: PreparedSubmission, json: boolean): SubmissionAnswer {
  const { envelopeFrom, recipients, messageId, warnings } = prepared;
  const status = SUBMISSION_STATUS.accepted;
  if (json)
    return { status, lines: [JSON.stringify({ result: "accepted", messageId, envelopeFrom, recipients, warnings })] };
  const people = recipients.length === 1 ? "1 recipient" : `${recipients.length} recipients`;
  const lines = [`accepted: ${people}, message ${messageId}`];
  for (const [kind, saying] of Object.entries(SAYINGS)) {
    const things = warnings.filter((warning) => warning.kind === kind).map(printThing);
    if (things.length > 0) lines.push(`${saying}: ${things.join(", ")}`);
  }
  return { status, lines };
}

/**
 * For errors of `parseCommand`, `prepareSubmission`, and of the machine (HostError).
 * @returns null for what is none of these: an error of the program
 */
export function refusedAnswer(error: unknown, json: boolean): SubmissionAnswer | null {
  const status = refusalStatus(error);
  if (status === null || !(error instanceof Error)) return null;
  const { code, hint } = error as FormatError;
  const { message } = error;
  if (json) {
    const line = /^line ([0-9]+): /.exec(message)?.[1];
    const answer = { result: "refused", status, code, line: line === undefined ? null : Number(line), message };
    return { status, lines: [JSON.stringify({ ...answer, hint: hint ?? null })] };
  }
  return { status, lines: [`refused: ${message}`, ...(hint === undefined ? [] : [`hint: ${hint}`])] };
}

function refusalStatus(error: unknown): number | null {
  if (error instanceof HostError) return SUBMISSION_STATUS.temporary;
  // What an account may send in a day is a matter of time.
  if (error instanceof PolicyError && error.code === "PACE") return SUBMISSION_STATUS.temporary;
  if (error instanceof PolicyError) return error.code === "USAGE" ? SUBMISSION_STATUS.usage : SUBMISSION_STATUS.denied;
  if (error instanceof FormatError) {
    return error.code === "RECIPIENT" ? SUBMISSION_STATUS.recipient : SUBMISSION_STATUS.data;
  }
  return null;
}

function printThing({ what, count }: SubmissionWarning): string {
  return count === 1 ? what : `${what} (${count} times)`;
}
