/** `shoal list` */

import { fitColumns, readableBytes } from "#cli/columns.ts";
import type { Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { say } from "#cli/terminal.ts";
import { visibleJson, visibleLine } from "#cli/visible.ts";
import { PolicyError } from "#core/errors.ts";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { parseMailboxes, printMailbox } from "#core/mail/mailboxes.ts";
import { type Field, fieldOf } from "#core/mail/message-fields.ts";
import { EXIT } from "#host/exit.ts";
import { localTime } from "./local-time.ts";
import { readMaildir, type StoredMail } from "./maildir-reader.ts";
import { DEFAULT_PROFILE } from "./places.ts";
import { loadProfile } from "./profile.ts";

export const listVerb: Verb = {
  help: `usage: shoal list [--profile NAME] [--json]

Lists the mail in the Maildir, oldest first: number, date in local time,
sender, size, subject. "shoal show NUMBER" shows one. The numbers stay the
same until mail comes or goes.

  --profile NAME  profile to use, default "default"
  --json          print one JSON array of objects with number, id, date (UTC),
                  from, subject, bytes and file

Characters that would steer the terminal are shown as \\x1b and the like.

Example:
  shoal sync && shoal list | tail
`,
  options: { profile: { type: "string" }, json: { type: "boolean" } },
  async run(operands, options) {
    if (operands[0] !== undefined) {
      throw new PolicyError("USAGE", `"${operands[0]}" is too much, expected options only`, {
        hint: '"shoal show NUMBER" shows one mail',
      });
    }
    const { profile } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const mails = await readMaildir(profile.maildir);
    if (options["json"] === true) await writeOut(`${visibleJson(mails.map(jsonOf))}\n`);
    else if (mails.length > 0) await writeOut(printList(mails, process.stdout.columns || undefined));
    else say("shoal", `there is no mail in "${profile.maildir}"; "shoal sync" fetches it`);
    return EXIT.ok;
  },
};

const FROM_COLUMNS = 24;
const SIZE_COLUMNS = 8;
const MIN_SUBJECT_COLUMNS = 10;
/** Where standard output is no terminal, subjects are not cut. */
const UNLIMITED_COLUMNS = 100_000;

/** @param columns width of the terminal; undefined where there is none */
export function printList(mails: readonly StoredMail[], columns: number | undefined): string {
  const numberColumns = String(mails.length).length;
  const fixed = numberColumns + 2 + "2026-11-22 02:00".length + 2 + 2 + SIZE_COLUMNS + 2;
  const left = (columns ?? UNLIMITED_COLUMNS) - fixed;
  const from = Math.max(1, Math.min(FROM_COLUMNS, left - MIN_SUBJECT_COLUMNS));
  const lines = mails.map((mail) => {
    const line = [
      String(mail.number).padStart(numberColumns),
      localTime(mail.date),
      fitColumns(visibleLine(senderOf(mail.fields)), from, true),
      readableBytes(mail.bytes).padStart(SIZE_COLUMNS),
      fitColumns(visibleLine(subjectOf(mail.fields)), Math.max(1, left - from), false),
    ].join("  ");
    return `${columns === undefined ? line : fitColumns(line, columns, false)}\n`;
  });
  return lines.join("");
}

/** The name, but none that looks like an address: that could be another one than the mail's. */
function senderOf(fields: readonly Field[]): string {
  const [mailbox] = parseMailboxes(fieldOf(fields, "from") ?? "");
  if (mailbox === undefined) return "";
  return mailbox.name === "" || mailbox.name.includes("@") ? mailbox.address : mailbox.name;
}

function subjectOf(fields: readonly Field[]): string {
  return decodeEncodedWords(fieldOf(fields, "subject") ?? "");
}

function jsonOf(mail: StoredMail): Record<string, string | number> {
  const { number, id, date, bytes, path } = mail;
  const from = parseMailboxes(fieldOf(mail.fields, "from") ?? "").map(printMailbox);
  return {
    number,
    id,
    date: new Date(date * 1000).toISOString(),
    from: from.join(", "),
    subject: subjectOf(mail.fields),
    bytes,
    file: path,
  };
}
