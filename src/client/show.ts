/** `shoal show` */

import { readableBytes } from "#cli/columns.ts";
import type { Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { visibleLine, visibleText } from "#cli/visible.ts";
import { HostError, PolicyError } from "#core/errors.ts";
import { decodeUnlabelledText } from "#core/mail/charset.ts";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { decodedBytes, mailTextOf } from "#core/mail/mail-text.ts";
import { parseMailboxes, printMailbox } from "#core/mail/mailboxes.ts";
import { type Field, fieldOf } from "#core/mail/message-fields.ts";
import { MAX_PARTS, type MimePart, parseMime } from "#core/mail/mime.ts";
import { EXIT } from "#host/exit.ts";
import { readBounded } from "#host/files.ts";
import { findMail, readMaildir, type StoredMail } from "./maildir-reader.ts";
import { DEFAULT_PROFILE } from "./places.ts";
import { loadProfile } from "./profile.ts";

export const showVerb: Verb = {
  help: `usage: shoal show NUMBER|ID [--raw] [--profile NAME]

Shows one mail: who, when, what about, to which of your addresses it came, and
its text. Attachments are named, not opened; of mail that is only HTML the text
is shown. Nothing is fetched from anywhere.

  NUMBER          as "shoal list" shows it
  ID              as "shoal list --json" shows it; the first 12 characters do
  --raw           write the file's exact bytes, control characters and all
  --profile NAME  profile to use, default "default"

Characters that would steer the terminal are shown as \\x1b and the like.

Example:
  shoal show 12
  shoal show 12 --raw > mail.eml
`,
  options: { raw: { type: "boolean" }, profile: { type: "string" } },
  async run(operands, options) {
    const [wanted, more] = operands;
    if (wanted === undefined || more !== undefined) {
      throw new PolicyError("USAGE", "expected one number or id of a mail", { hint: '"shoal list" shows the numbers' });
    }
    const { profile } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const bytes = await readMail(findMail(await readMaildir(profile.maildir), wanted));
    await writeOut(options["raw"] === true ? bytes : printMail(bytes));
    return EXIT.ok;
  },
};

/** What our machines take is much smaller. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const SHOWN_PARTS = 100;

async function readMail({ path }: StoredMail): Promise<Buffer> {
  try {
    return await readBounded(path, MAX_FILE_BYTES);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EACCES" && code !== "EIO") throw cause;
    throw new HostError("FILE", `can't read "${path}": ${message}`, { cause, hint: "run it again" });
  }
}

/**
 * A mail as a terminal may have it. All that this program says stands in front of the first empty line, so that no text
 * of a mail passes for it.
 */
export function printMail(bytes: Buffer): string {
  const message = parseMime(bytes);
  const { text, part, isFromHtml } = mailTextOf(message);
  const others = message.parts.filter((each) => each !== part);
  const lines = [
    ...["From", "To", "Cc"].map((name) => line(name, printAddresses(message.fields, name.toLowerCase()))),
    line("Date", decodeUnlabelledText(fieldOf(message.fields, "date") ?? "")),
    line("Subject", decodeEncodedWords(fieldOf(message.fields, "subject") ?? "")),
    ...deliveredTo(message.fields).map((address) => line("Delivered-To", address)),
    ...others.slice(0, SHOWN_PARTS).map((other) => line(...printPart(other))),
    line("Parts", others.length > SHOWN_PARTS ? `and ${others.length - SHOWN_PARTS} more` : ""),
    line("Note", message.limited ? `made of more than ${MAX_PARTS} parts or nested too deeply: not all is shown` : ""),
    line("Note", isFromHtml ? "this mail is HTML only, its tags were taken away" : ""),
    line("Note", part === undefined ? "there is no text in this mail" : ""),
  ];
  const body = visibleText(text);
  return `${lines.join("")}\n${body}${body === "" || body.endsWith("\n") ? "" : "\n"}`;
}

function line(name: string, value: string): string {
  return value === "" ? "" : `${name}: ${visibleLine(value)}\n`;
}

function printAddresses(fields: readonly Field[], name: string): string {
  const values = fields.filter((field) => field.name === name).map(({ value }) => value);
  return parseMailboxes(values.join(", ")).map(printMailbox).join(", ");
}

/** Only the block that our own machine wrote in front says where a mail came. */
function deliveredTo(fields: readonly Field[]): string[] {
  const ours = new Set(["shoal-length", "return-path", "delivered-to"]);
  const end = fields.findIndex(({ name }) => !ours.has(name));
  const block = end < 0 ? fields : fields.slice(0, end);
  return block.filter(({ name }) => name === "delivered-to").map(({ value }) => value);
}

function printPart(part: MimePart): [name: string, value: string] {
  const { fileName = "", type, isAttachment } = part;
  const name = fileName === "" ? "" : `"${fileName.replace(/["\\]/g, "\\$&")}", `;
  const isFile = isAttachment || fileName !== "";
  return [isFile ? "Attachment" : "Part", `${name}${type}, ${readableBytes(decodedBytes(part))}`];
}
