/**
 * Messages in the shape that mail programs give them, by hand after each one's habits. All are accepted, and mean to the
 * recipient what they meant before, by the lenient readers that the client has.
 */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { parseMailboxes } from "#core/mail/mailboxes.ts";
import { parseMessageDate } from "#core/mail/message-date.ts";
import { fieldOf } from "#core/mail/message-fields.ts";
import { type MimeMessage, parseMime } from "#core/mail/mime.ts";
import { decodeTransfer } from "#core/mail/transfer-encoding.ts";
import { submit } from "#test/hostile-submissions/hostile-submissions.ts";

const folder = import.meta.dirname;
const names = readdirSync(folder).flatMap((file) => (file.endsWith(".eml") ? [file.slice(0, -".eml".length)] : []));

/** Words by which one knows a program, a machine, or a time zone. */
const BETRAYING =
  /thunderbird|mozilla|apple|iphone|outlook|nextpart|k-9|mutt|aerc|git-send|mailx|nail|python|={10}|roundcube|gnus|fritz|laptop|\+0[13]00|-0800/i;

test("the corpus is there", () => {
  assert.ok(names.length >= 40, `${names.length} messages`);
});

for (const name of names) {
  test(`accepted: ${name}`, () => {
    const message = readFileSync(join(folder, `${name}.eml`));
    const commandFile = join(folder, `${name}.command`);
    const command = existsSync(commandFile) ? readFileSync(commandFile) : Buffer.alloc(0);
    const prepared = submit({ message, command });
    assert.ok(prepared !== null);
    const before = parseMime(message);
    const after = parseMime(prepared.message);
    assert.deepEqual(partsOf(after), partsOf(before));
    for (const field of ["from", "sender", "reply-to", "to", "cc"]) {
      assert.deepEqual(mailboxesOf(after, field), mailboxesOf(before, field), field);
    }
    assert.equal(textOf(after, "subject"), textOf(before, "subject"));
    const date = fieldOf(before.fields, "date");
    const sent = date === undefined ? 1_800_000_000 : parseMessageDate(date);
    assert.equal(parseMessageDate(fieldOf(after.fields, "date") ?? ""), sent);
    assert.match(fieldOf(after.fields, "date") ?? "", /^[A-Z][a-z]{2}, [0-9]{2} .* \+0000$/);
    if (command.length === 0) assert.deepEqual([...prepared.recipients].sort(), recipientsOf(before));

    const header = after.fields.filter(({ name: key }) => !["subject", "references", "in-reply-to"].includes(key));
    const text = header.map(({ name: key, value }) => `${key}: ${value}`).join("\n");
    assert.doesNotMatch(text, BETRAYING);
    assert.doesNotMatch(prepared.message.toString("latin1"), /^Bcc|^Resent/im);
    assert.ok(!header.some(({ name: key }) => key === "received"), "the one that leaves is smtpd's");
    for (const line of prepared.message.toString("latin1").split("\r\n")) {
      assert.ok(line.length <= 998 && !/[\r\n]/.test(line), "line ends and lengths");
    }
    assertStable(prepared.message, prepared.recipients, prepared.messageId);
  });
}

/** What comes out goes in again, and nothing but random parts changes. */
function assertStable(message: Buffer, recipients: readonly string[], messageId: string): void {
  const again = submit({ message, command: Buffer.from(`send ${recipients.join(" ")}`) });
  assert.ok(again !== null);
  assert.equal(withoutRandom(again.message), withoutRandom(message));
  assert.equal(again.messageId, messageId);
}

function withoutRandom(message: Buffer): string {
  const unbroken = message.toString("latin1").replaceAll("=\r\n", "");
  return unbroken.replace(/\b[0-9a-f]{32}\b/g, "RANDOM");
}

function partsOf({ parts }: MimeMessage): unknown[] {
  return parts.map(({ type, charset, encoding, isAttachment, fileName, body }) => ({
    type,
    charset: charset?.toLowerCase(),
    isAttachment,
    fileName,
    text: decodeTransfer(body, encoding)
      .toString("latin1")
      .replaceAll("\r\n", "\n")
      .replace(/\n$/, "")
      .replace(/cid:[^"\]]+/g, "cid:")
      .replace(/^Reporting-UA:.*\n/m, ""),
  }));
}

function mailboxesOf({ fields }: MimeMessage, name: string): unknown {
  return parseMailboxes(fieldOf(fields, name) ?? "");
}

function textOf({ fields }: MimeMessage, name: string): string {
  return decodeEncodedWords(fieldOf(fields, name) ?? "");
}

function recipientsOf(message: MimeMessage): string[] {
  const prefix = fieldOf(message.fields, "resent-to") === undefined ? "" : "resent-";
  const addresses = ["to", "cc", "bcc"].flatMap((name) => {
    return parseMailboxes(fieldOf(message.fields, prefix + name) ?? "").map(({ address }) => address);
  });
  return [...new Set(addresses.filter((address) => address.includes("@")))].sort();
}
