/** What shoal-submit says beside the answers of docs/formats/submission.md: ways, limits, help. */

import { acceptedAnswer, refusedAnswer, SUBMISSION_STATUS } from "#core/mail/submission/answer.ts";
import type { PreparedSubmission } from "#core/mail/submission/prepare.ts";
import type { DomainGrade } from "./grade/grader.ts";
import { printGrade } from "./grade/print-grade.ts";
import type { Rest } from "./hand-over.ts";
import type { Left } from "./limit-store.ts";
import type { RelayAnswer } from "./relay-wire.ts";

/** How mail travels to a domain; `internal`: it is ours, and mail for it never leaves. */
export type DomainWay = DomainGrade | { readonly domain: string; readonly grade: "internal" };

export const HELP = `Usage: ssh ACCOUNT@HOST [COMMAND] < MESSAGE

  send [-f SENDER] [--json] [ADDRESS...]   send the message on standard input (default);
                                           to To, Cc and Bcc unless addresses are named
       [--bytes NUMBER]                    not, if it has another length
  send-anyway ...                          the same, also where the way is not protected
  check [--json] ADDRESS...                say how mail would travel
  limits [--json]                          say what may still be sent
  help                                     say this

Example: ssh alice@out.mail.example.org send bob@example.net < message.eml

0: stored safely, on its way. 64 to 77: not sent, and the reason.
75: not sent for now; try again later, unless it says that it may have left.
`;

export function helpAnswer(): RelayAnswer {
  return { status: 0, out: HELP.trimEnd().split("\n"), err: [] };
}

/** Accepted lines are data; what was refused is for people, unless JSON was asked for. */
export function sentAnswer(prepared: PreparedSubmission, json: boolean): RelayAnswer {
  const { status, lines } = acceptedAnswer(prepared, json);
  return { status, out: lines, err: [] };
}

/** @returns null for an error of the program */
export function refusal(error: unknown, json: boolean): RelayAnswer | null {
  const answer = refusedAnswer(error, json);
  if (answer === null) return null;
  const { status, lines } = answer;
  return json ? { status, out: lines, err: [] } : { status, out: [], err: lines };
}

/** Of `send`, where at least one way is not protected: nothing is stored. */
export function unprotectedAnswer(ways: readonly DomainWay[], json: boolean): RelayAnswer {
  const status = SUBMISSION_STATUS.temporary;
  const bad = ways.filter(({ grade }) => grade === "none").map(({ domain }) => domain);
  const message = `the way to ${bad.join(", ")} is not protected; nothing was sent`;
  const hint = 'send it later, or with "send-anyway" if others may read it on its way';
  if (json) {
    const answer = { result: "refused", status, code: "UNPROTECTED", line: null, message, hint };
    return { status, out: [JSON.stringify({ ...answer, domains: ways.map(describe) })], err: [] };
  }
  return { status, out: ways.map(printWay), err: [`refused: ${message}`, `hint: ${hint}`] };
}

/** Of `check`: the status that `send` would end with. */
export function checkAnswer(ways: readonly DomainWay[], json: boolean): RelayAnswer {
  const isProtected = ways.every(({ grade }) => grade !== "none");
  const status = isProtected ? SUBMISSION_STATUS.accepted : SUBMISSION_STATUS.temporary;
  if (json)
    return { status, out: [JSON.stringify({ result: "checked", status, domains: ways.map(describe) })], err: [] };
  return { status, out: ways.map(printWay), err: [] };
}

export interface ShownLimits extends Left {
  readonly recipients: number;
  readonly messageBytes: number;
}

export function limitsAnswer(
  { messages, newRecipients, recipients, messageBytes }: ShownLimits,
  json: boolean,
): RelayAnswer {
  if (json) {
    const answer = { result: "limits", status: 0, messages, newRecipients, recipients, messageBytes };
    return { status: 0, out: [JSON.stringify(answer)], err: [] };
  }
  const lines = [
    `messages ${messages.left} of ${messages.limit}`,
    `new-recipients ${newRecipients.left} of ${newRecipients.limit}`,
    `recipients ${recipients}`,
    `bytes ${messageBytes}`,
  ];
  return { status: 0, out: lines, err: [] };
}

/** smtpd has the message for some recipients, or may have it: who sends it again must know for whom. */
export function partlyAnswer(
  { messageId }: PreparedSubmission,
  accepted: readonly string[],
  { recipients, unknown, error }: Rest,
  json: boolean,
): RelayAnswer {
  const status = SUBMISSION_STATUS.temporary;
  const notSent = recipients.filter((address) => !unknown.includes(address));
  const { message } = error;
  if (json) {
    const answer = { result: "partly", status, messageId, accepted, unknown, notSent, message };
    return { status, out: [JSON.stringify(answer)], err: [] };
  }
  const line = (text: string, people: readonly string[]): string[] =>
    people.length === 0 ? [] : [`${text}: ${people.join(" ")}`];
  return {
    status,
    out: [...line("accepted for", accepted), ...line("perhaps sent to", unknown), ...line("not sent to", notSent)],
    err: [
      `refused: ${message}`,
      `hint: try again, naming only the recipients that were not accepted${unknown.length > 0 ? "; who perhaps has it may get it twice" : ""}`,
    ],
  };
}

function printWay(way: DomainWay): string {
  return way.grade === "internal" ? `tls internal ${way.domain} - -` : printGrade(way);
}

function describe(way: DomainWay): Record<string, string | null> {
  const { domain, grade } = way;
  if (way.grade === "internal") return { domain, grade, by: null, reason: null, server: null };
  const { by, because } = way;
  const server = because.mx === "-" ? null : because.mx;
  return { domain, grade, by, reason: way.grade === "none" ? because.result : null, server };
}
