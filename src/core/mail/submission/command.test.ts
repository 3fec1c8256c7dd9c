import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError, PolicyError } from "#core/errors.ts";
import { MAX_COMMAND_CHARACTERS, parseCommand, type SubmissionCommand } from "./command.ts";

test("reads every verb with its words", () => {
  const send = { verb: "send", envelopeFrom: null, recipients: null, json: false, bytes: null };
  for (const [text, expected] of [
    ["", send],
    ["   ", send],
    ["send", send],
    ["send --bytes 0", { ...send, bytes: 0 }],
    ["send bob@example.net --bytes 36700160", { ...send, recipients: ["bob@example.net"], bytes: 36_700_160 }],
    ["send --json", { ...send, json: true }],
    ["send bob@example.net", { ...send, recipients: ["bob@example.net"] }],
    ["  send   bob@example.net  carol@Example.COM ", { ...send, recipients: ["bob@example.net", "carol@example.com"] }],
    ["send bob@example.net bob@EXAMPLE.net", { ...send, recipients: ["bob@example.net"] }],
    [
      "send -f alice@example.org -- bob@example.net",
      { ...send, envelopeFrom: "alice@example.org", recipients: ["bob@example.net"] },
    ],
    ["send bob@example.net --json", { ...send, recipients: ["bob@example.net"], json: true }],
    ["send --", send],
    ["send o'brien@example.net", { ...send, recipients: ["o'brien@example.net"] }],
    ["send-anyway bob@example.net", { ...send, verb: "send-anyway", recipients: ["bob@example.net"] }],
    ["check bob@example.net", { verb: "check", addresses: ["bob@example.net"], json: false }],
    ["limits --json", { verb: "limits", json: true }],
    ["help", { verb: "help" }],
  ] as const) {
    assert.deepEqual(parseCommand(text), expected, text);
  }
});

test("whatever is asked, the answer is a command or a refusal, and no address holds what SMTP would take for more", () => {
  const words = fc.constantFrom(
    "send",
    "send-anyway",
    "check",
    "-f",
    "--",
    "--json",
    "--bytes",
    "12",
    "bob@example.net",
    "<>",
    "\n",
    '"',
    "a b",
  );
  const text = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.array(fc.oneof(words, fc.string({ maxLength: 20 })), { maxLength: 12 }).map((parts) => parts.join(" ")),
  );
  fc.assert(
    fc.property(text, (asked) => {
      let command: SubmissionCommand;
      try {
        command = parseCommand(asked);
      } catch (error) {
        assert.ok(error instanceof FormatError || error instanceof PolicyError);
        return;
      }
      for (const address of addressesOf(command)) {
        assert.match(address, /^[A-Za-z0-9#$&'*+/=?^_`{|}~.-]+@[a-z0-9.-]+$/);
      }
    }),
  );
});

function addressesOf(command: SubmissionCommand): readonly string[] {
  if (command.verb === "check") return command.addresses;
  if (command.verb !== "send" && command.verb !== "send-anyway") return [];
  return [...(command.recipients ?? []), ...(command.envelopeFrom === null ? [] : [command.envelopeFrom])];
}

test("a command of the greatest length is read", () => {
  assert.equal(parseCommand(" ".repeat(MAX_COMMAND_CHARACTERS)).verb, "send");
});
