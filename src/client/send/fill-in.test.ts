import assert from "node:assert/strict";
import { test } from "node:test";
import { type Filling, fillIn } from "./fill-in.ts";

const FILLING: Filling = {
  from: { name: "", address: "alice@example.org" },
  localNames: ["ali", "alice"],
  ignoreDots: true,
  time: 1_800_000_000,
};
const DATE = "Date: Fri, 15 Jan 2027 08:00:00 +0000\n";
const FROM = "From: alice@example.org\n";
const ID = "Message-ID: <ID@example.org>\n";

function filled(input: string, changes: Partial<Filling> = {}): string {
  const out = fillIn(Buffer.from(input), { ...FILLING, ...changes }).toString();
  return out.replace(/<[0-9a-f]{32}@/g, "<ID@");
}

test("what is missing comes behind what is there; the body keeps every byte", () => {
  const full = "From: a@b.example\nDate: x\nMessage-ID: <1@x>\n\nFrom me\n.\r\n\u00e9";
  assert.equal(filled(full), full);
  assert.equal(filled("To: b@c.example\n\nhi\n"), `To: b@c.example\n${DATE}${FROM}${ID}\nhi\n`);
  assert.equal(
    filled("To: b@c.example\r\n\r\nhi\r\n"),
    `To: b@c.example\n${DATE}${FROM}${ID}\nhi\n`.replaceAll("\n", "\r\n"),
  );
  assert.equal(filled("To: b@c.example\n folded\n"), `To: b@c.example\n folded\n${DATE}${FROM}${ID}\n`);
  assert.equal(filled("hello there\n"), `${DATE}${FROM}${ID}\nhello there\n`);
  assert.equal(filled("\nhello: there\n"), `${DATE}${FROM}${ID}\nhello: there\n`);
  assert.equal(filled("Subject: x\nno field\n"), `Subject: x\n${DATE}${FROM}${ID}\nno field\n`);
  assert.equal(filled(""), `${DATE}${FROM}${ID}\n`);
  assert.equal(filled("From bob Fri Jan 15\nSubject: x\n\n"), `Subject: x\n${DATE}${FROM}${ID}\n`);
});

test("the name is encoded", () => {
  const from = { name: "Alice Öst", address: "alice@example.org" };
  assert.match(filled("\n", { from }), /\nFrom: =\?utf-8\?B\?QWxpY2Ugw5ZzdA==\?= <alice@example\.org>\n/);
});

test("a lone dot ends the message unless it is told not to", () => {
  assert.match(filled("\na\n..\n.b\n.\nc\n", { ignoreDots: false }), /\n\na\n\.\.\n\.b\n$/);
  assert.match(filled("\na\n.\nc\n"), /\n\na\n\.\nc\n$/);
  assert.match(filled("\r\na\r\n.\r\nc\r\n", { ignoreDots: false }), /\r\n\r\na\r\n$/);
});

test("cron's short names are this account; others' stay for the server to refuse", () => {
  const first = (input: string): string => filled(`${input}\n\n`).split("\n")[0] ?? "";
  assert.equal(first("From: root (Cron Daemon)"), "From: Cron Daemon <alice@example.org>");
  assert.equal(first('From: "(Cron Daemon)" <root>'), "From: Cron Daemon <alice@example.org>");
  assert.equal(first("From: ali"), "From: <alice@example.org>");
  assert.equal(first("To: ali"), "To: alice@example.org");
  assert.equal(first("To: root"), "To: root");
  assert.equal(first("From: eve@example.com"), "From: eve@example.com");
  assert.equal(first("To: undisclosed-recipients:;"), "To: undisclosed-recipients:;");
  assert.equal(filled("To: ali,\n bob@example.net\n\n").split("\n")[0], "To: ali,");
});
