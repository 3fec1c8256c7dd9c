import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { columnsOf } from "#cli/columns.ts";
import { visibleLine } from "#cli/visible.ts";
import { readHeader } from "#core/mail/message-fields.ts";
import { printList } from "./list.ts";
import type { StoredMail } from "./maildir-reader.ts";

function stored(number: number, header: string): StoredMail {
  const { fields } = readHeader(Buffer.from(header, "latin1"));
  return {
    number,
    id: "id",
    path: "/x",
    bytes: 1234,
    fields,
    deliveryTime: 0,
    date: new Date(2026, 10, 22, 2).getTime() / 1000,
  };
}

test("one line a mail: decoded, harmless, the name unless it could be taken for another address", () => {
  const mails = [
    stored(1, "From: =?utf-8?q?=C3=84nne?= <a@b>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\tund\n mehr\n"),
    stored(2, 'From: "admin@bank.example" <evil@x>\nSubject: =?utf-8?q?=1B[2J=0Aspoof=E2=80=AE?=\n'),
    stored(3, "To: nobody\n"),
  ];
  assert.equal(
    printList(mails, undefined),
    [
      "1  2026-11-22 02:00  Änne                        1.2 kB  Grüße und mehr\n",
      "2  2026-11-22 02:00  evil@x                      1.2 kB  \\x1b[2J\\x0aspoof\\u202e\n",
      "3  2026-11-22 02:00                              1.2 kB  \n",
    ].join(""),
  );
});

test("fits the terminal, however narrow it is, and never steers it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 200 }), (text, columns) => {
      const word = `=?utf-8?b?${Buffer.from(text).toString("base64")}?=`;
      const lines = printList([stored(1, `From: ${word} <a@b>\nSubject: ${word}\n`)], columns).split("\n");
      assert.equal(lines.length, 2);
      assert.ok(columnsOf(lines[0] ?? "") <= columns);
      assert.equal(visibleLine(lines[0] ?? ""), lines[0]);
    }),
  );
});
