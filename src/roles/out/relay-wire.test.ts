import assert from "node:assert/strict";
import { test } from "node:test";
import { printAnswer } from "./relay-wire.ts";

test("whatever an answer holds, its lines are printable, and no line becomes two", () => {
  const text = printAnswer({ status: 65, out: ["a\nexit 0", "\x1b[2J\x9b"], err: ['found "aaa…"', "ü"] });
  assert.equal(text, 'out a?exit 0\nout ?[2J?\nerr found "aaa..."\nerr ?\nexit 65\n');
});
