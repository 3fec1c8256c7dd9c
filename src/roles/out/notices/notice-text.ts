/** What a notice says to its reader. Words of strangers stand behind `>`, so that they can't pass for ours. Pure. */

import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { fieldOf, readHeader } from "#core/mail/message-fields.ts";
import type { Diagnosis } from "./diagnose.ts";
import type { SmtpdNotice } from "./smtpd-notice.ts";

export interface NoticeTextOptions {
  readonly notice: Pick<SmtpdNotice, "after" | "kind" | "original">;
  readonly diagnoses: readonly Diagnosis[];
  /** Of the account that sent the mail. */
  readonly account: string;
  readonly hostname: string;
  readonly queueHours: number;
  /** Whether the whole mail goes with it. */
  readonly isWhole: boolean;
}

const WIDTH = 74;

/** LF line ends. */
export function noticeText(options: NoticeTextOptions): string {
  const { notice, diagnoses, queueHours } = options;
  const isDelayed = notice.kind === "delayed";
  const whom = diagnoses.length === 1 ? "this recipient" : `these ${diagnoses.length} recipients`;
  const head = isDelayed
    ? `Your mail has not reached ${whom} yet${notice.after === null ? "" : `, after ${notice.after}`}:`
    : `Your mail did not reach ${whom}${diagnoses.every((one) => one.isGivenUp) ? ` within ${queueHours} hours` : ""}:`;
  const causes = diagnoses.flatMap(({ address, sentence, said, isGivenUp }) => [
    address,
    ...wrap(`${capital(sentence)}${said === null ? "." : ":"}`, "  "),
    ...(said === null ? [] : wrap(said, "  > ")),
    ...(isGivenUp && !diagnoses.every((one) => one.isGivenUp) ? [`  It was tried for ${queueHours} hours.`] : []),
    "",
  ]);
  return `${[head, "", ...causes, ...aboutMail(notice.original), "", ...next(options, queueHours)].join("\n")}\n`;
}

/** Printable ASCII, for the field Subject. */
export function noticeSubject({ notice, diagnoses }: Pick<NoticeTextOptions, "diagnoses" | "notice">): string {
  const word = notice.kind === "delayed" ? "Delayed" : "Not delivered";
  const [{ address } = { address: "" }, ...more] = diagnoses;
  return more.length === 0 ? `${word}: ${address}` : `${word}: ${address} and ${more.length} more`;
}

function aboutMail(original: Buffer): string[] {
  const { fields } = readHeader(original.subarray(0, 65_536));
  const line = (label: string, name: string): string[] => {
    const value = harmless(decodeEncodedWords(fieldOf(fields, name) ?? ""));
    return value === "" ? [] : [`  ${label} ${value}`];
  };
  const lines = [...line("Subject:", "subject"), ...line("Date:   ", "date"), ...line("To:     ", "to")];
  return lines.length === 0 ? [] : ["This is about your mail", ...lines];
}

function next(options: NoticeTextOptions, queueHours: number): string[] {
  const { notice, diagnoses, account, hostname, isWhole } = options;
  const addresses = diagnoses.map(({ address }) => address);
  const unprotected = diagnoses.filter((one) => one.isUnprotected).map(({ address }) => address);
  const ssh = (verb: string, people: readonly string[]): string =>
    `  ssh ${account}@${hostname} ${verb} ${people.map(shellWord).join(" \\\n    ")} < message.eml`;
  if (notice.kind === "delayed") {
    const lines = [
      ...wrap(`You need not do anything: it is tried again until ${queueHours} hours after it was handed in.`),
      ...wrap("If it can't be delivered by then, you get another notice."),
    ];
    if (unprotected.length === 0) return lines;
    return [
      ...lines,
      "",
      ...wrap("If others may read it on its way, send it at once from your own copy (it may arrive twice then):"),
      "",
      ssh("send-anyway", unprotected),
    ];
  }
  const shoal = isWhole
    ? [
        ...wrap("To send it again to just them, with FILE for this mail in your Maildir or saved:"),
        "",
        "  shoal send --again FILE",
        ...(unprotected.length === 0
          ? []
          : ["", "or, if others may read it on its way:", "", "  shoal send --again FILE --anyway"]),
        "",
        ...wrap("Without shoal, with message.eml for the mail that is attached to this one:"),
      ]
    : wrap(
        "The mail was too large to go with this notice, or is not known any more. To send it again from your own copy:",
      );
  return [
    ...shoal,
    "",
    ssh("send", addresses),
    ...(unprotected.length === 0
      ? []
      : ["", "or, if others may read it on its way:", "", ssh("send-anyway", unprotected)]),
  ];
}

/** Lines of at most {@link WIDTH} characters, cut inside a word only if it is longer. */
function wrap(text: string, indent = ""): string[] {
  const width = WIDTH - indent.length;
  const lines: string[] = [];
  for (const word of text.split(/ +/).flatMap((each) => each.match(new RegExp(`.{1,${width}}`, "gu")) ?? [])) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => indent + line);
}

/** One line of at most 200 characters, without what moves a terminal's cursor or turns its direction. */
function harmless(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu, " ").trim();
  return clean.length > 200 ? `${clean.slice(0, 200)}...` : clean;
}

/** Addresses may hold what means something to a shell. */
function shellWord(word: string): string {
  return /^[A-Za-z0-9@._+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
