import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { MAX_MAILBOXES, parseMailboxes, printMailbox } from "./mailboxes.ts";

test("reads names and addresses in all the ways they are written", () => {
  for (const [text, expected] of [
    ["ada@post.example", [["", "ada@post.example"]]],
    ["Ada <ada@post.example>", [["Ada", "ada@post.example"]]],
    [
      '"Lovelace, Ada" <a@b>, Bob  B <b@c>',
      [
        ["Lovelace, Ada", "a@b"],
        ["Bob B", "b@c"],
      ],
    ],
    ['"A \\"quoted\\" \\\\ name" <a@b>', [['A "quoted" \\ name', "a@b"]]],
    ["root (Cron Daemon)", [["Cron Daemon", "root"]]],
    ["a@b (x (nested) \\) y)", [["x (nested) ) y", "a@b"]]],
    [
      "Fish: a@b, Bob <b@c>;, c@d",
      [
        ["", "a@b"],
        ["Bob", "b@c"],
        ["", "c@d"],
      ],
    ],
    ["undisclosed-recipients:;", []],
    ["=?utf-8?q?=C3=84nne?= =?utf-8?q?_=C3=96?= <a@b>", [["Änne Ö", "a@b"]]],
    ['"=?utf-8?q?=C3=84nne?=" <a@b>', [["Änne", "a@b"]]],
    [
      "=?utf-8?q?admin=40bank.example_=3Cadmin=40bank.example=3E=2C?= <evil@x>",
      [["admin@bank.example <admin@bank.example>,", "evil@x"]],
    ],
    ["<a@b>", [["", "a@b"]]],
    [
      '<a@b(c>)>, <(x) "d>"@e >',
      [
        ["", "a@b"],
        ["", '"d>"@e'],
      ],
    ],
    ["Ada <", [["Ada", ""]]],
    ['"open <a@b>, x', [["", "open <a@b>, x"]]],
    ["", []],
    [",,;,", []],
  ] as const) {
    assert.deepEqual(
      parseMailboxes(text).map(({ name, address }) => [name, address]),
      expected,
      text,
    );
  }
});

test("an encoded name never looks like an address when it is printed", () => {
  const [mailbox] = parseMailboxes("=?utf-8?q?admin=40bank.example_=3Cadmin=40bank.example=3E=2C=22?= <evil@x>");
  assert.ok(mailbox);
  assert.equal(printMailbox(mailbox), '"admin@bank.example <admin@bank.example>,\\"" <evil@x>');
});

test("what is printed is read again as the same", () => {
  const name = fc.string().map((text) =>
    text
      .replace(/[^ -~]|=\?/g, "")
      .replace(/ +/g, " ")
      .trim(),
  );
  fc.assert(
    fc.property(name, (text) => {
      const mailbox = { name: text, address: "a@b" };
      assert.deepEqual(parseMailboxes(printMailbox(mailbox)), [mailbox]);
    }),
  );
});

test("never throws, and stops at a limit", () => {
  fc.assert(fc.property(fc.string(), (text) => parseMailboxes(text).length >= 0));
  assert.equal(parseMailboxes("a@b,".repeat(100_000)).length, MAX_MAILBOXES);
});
