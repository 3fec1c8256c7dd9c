import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError, VerifyError } from "#core/errors.ts";
import { ENVELOPES_PADDING, makeEnvelope, parseEnvelopes, printEnvelopes } from "./envelopes.ts";

const ALICE = { name: "alice", account: "niUaW71aJ-nWDDa9BF5RjA", version: 2 };
const BOB = { name: "bob", account: "5hRvN0wEZ4ZHZ1fZvGfnVw", version: 1 };
const RECEIVED = "Received: from mx.example.com (mx.example.com [192.0.2.7])\n\tby in (OpenSMTPD) with ESMTP id 1\n";

function joined(lines: readonly string[], end = "\n", header = ""): Buffer {
  return Buffer.from(header.replaceAll("\n", end) + lines.map((line) => line + end).join(""), "latin1");
}

function isRefusal(error: unknown): boolean {
  return (
    (error instanceof FormatError && error.code === "ENVELOPES") ||
    (error instanceof VerifyError && error.code === "DIGEST")
  );
}

test("the example of the format page", () => {
  const page = readFileSync(new URL("../../../docs/formats/envelopes.md", import.meta.url), "utf8");
  const example = /```\n(Received[^]*?)```/.exec(page)?.[1] ?? "";
  const envelopes = parseEnvelopes(Buffer.from(example));
  assert.deepEqual(envelopes, [
    makeEnvelope(ALICE, Buffer.from("age-encryption.org/v1\n")),
    makeEnvelope(BOB, Buffer.from("abc")),
  ]);
  assert.ok(example.endsWith(joined(printEnvelopes(envelopes)).toString()));
});

test("parsing inverts printing, with LF or CRLF, with fields in front", () => {
  const file = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(674, 675, 676, 1350, 1351, 5000).map((size) => randomBytes(size)),
  );
  const to = fc.record(
    {
      name: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,31}$/),
      account: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((id) => Buffer.from(id).toString("base64url")),
      version: fc.integer({ min: 1, max: 10 ** 14 }),
    },
    { noNullPrototype: true },
  );
  const list = fc.uniqueArray(fc.tuple(to, file), { minLength: 1, maxLength: 4, selector: ([{ name }]) => name });
  fc.assert(
    fc.property(list, fc.constantFrom("\n", "\r\n"), fc.constantFrom("", RECEIVED), (entries, end, header) => {
      const envelopes = entries.map(([each, bytes]) => makeEnvelope(each, bytes));
      const lines = printEnvelopes(envelopes);
      for (const line of lines) assert.match(line, /^(?!\.)[\x20-\x7e]{0,900}$/);
      assert.deepEqual(parseEnvelopes(joined(lines, end, header)), envelopes);
    }),
  );
});

test("no changed byte and no cut is accepted", () => {
  const envelopes = [makeEnvelope(ALICE, randomBytes(1000)), makeEnvelope(BOB, randomBytes(50))];
  const good = joined(printEnvelopes(envelopes));
  const accepted: string[] = [];
  for (let at = 0; at < good.length; at++) {
    for (const bit of [1, 2, 0x20, 0x80]) {
      const changed = Buffer.from(good);
      changed[at] = (changed[at] ?? 0) ^ bit;
      try {
        accepted.push(...parseEnvelopes(changed).map(({ name, account, version }) => `${name} ${account} ${version}`));
      } catch (error) {
        assert.ok(isRefusal(error), String(error));
      }
    }
  }
  // Whom it is for is the one thing that nothing here can vouch for: it becomes another one's.
  for (const to of accepted) assert.match(to, /^([a-z0-9._-]{5}|[a-z0-9._-]{3}) [A-Za-z0-9_-]{22} [1-9]$/);
  assert.ok(accepted.length <= 2 * (8 + 22 + 1) * 4);
  for (let length = 0; length < good.length; length++) {
    assert.throws(() => parseEnvelopes(good.subarray(0, length)), isRefusal, `cut to ${length}`);
  }
});

test("padding behind the end may be cut off anywhere, and is nothing but padding", () => {
  const envelopes = [makeEnvelope(ALICE, randomBytes(1000))];
  const lines = printEnvelopes(envelopes);
  assert.ok(joined(ENVELOPES_PADDING).length >= 4096);
  const whole = joined([...lines, ...ENVELOPES_PADDING]);
  const needed = joined(lines).length;
  for (const end of ["\n", "\r\n"]) {
    assert.deepEqual(parseEnvelopes(joined([...lines, ...ENVELOPES_PADDING], end)), envelopes);
  }
  for (let length = needed + 1; length < whole.length; length += 100) {
    // Whoever sends a cut off file by SMTP ends its last line.
    const cut = whole.toString("latin1", 0, length).replace(/\n?$/, "\n");
    assert.deepEqual(parseEnvelopes(Buffer.from(cut)), envelopes);
    assert.throws(() => parseEnvelopes(Buffer.from(cut.replace(/\n$/, "x\n"))), isRefusal);
  }
  assert.throws(() => parseEnvelopes(joined([...lines, ...ENVELOPES_PADDING, "-"])), isRefusal);
  assert.throws(() => parseEnvelopes(joined([...lines, `-${ENVELOPES_PADDING[0]}`])), isRefusal);
});

test("refuses every other form", () => {
  const lines = printEnvelopes([makeEnvelope(ALICE, Buffer.alloc(1001, 7)), makeEnvelope(BOB, Buffer.alloc(10, 7))]);
  const good = joined(lines).toString("latin1");
  parseEnvelopes(Buffer.from(good, "latin1"));
  const to = lines[3] ?? "";
  const body = lines[4] ?? "";
  for (const text of [
    "",
    "\n",
    `${good}\n`,
    `${good}end\n`,
    good.slice(0, -1),
    `.${good}`,
    good.replace("end\n", ".\nend\n"),
    good.replace("Content-Type: application/x-shoal-envelopes\n", ""),
    good.replace("Content-Type: application/x-shoal-envelopes\n", "Content-Type: text/plain\n"),
    `Content-Type: text/plain\n${good}`,
    `Content-Type: application/x-shoal-envelopes\n${good}`,
    good.replace("/v1", "/v2"),
    good.replace("/v1\n", "/v1\n\n"),
    good.replace(to, to.replace("1001", "01001")),
    good.replace(to, to.replace("1001", "1000")),
    good.replace(to, to.replace("1001", "1002")),
    good.replace(to, to.replace("1001", "99999999999")),
    good.replace(to, to.replace("1001", "0")),
    good.replace(to, to.replace("alice", "bob")),
    good.replace(to, to.replace("alice", "../alice")),
    good.replace(to, to.replace(` ${ALICE.account}`, "")),
    good.replace(to, to.replace(ALICE.account, ALICE.account.slice(1))),
    good.replace(to, to.replace(" 2 ", " ")),
    good.replace(to, to.replace(" 2 ", " 0 ")),
    good.replace(to, to.replace(" 2 ", " 02 ")),
    good.replace(to, to.replace("alice", "Alice")),
    good.replace(
      to,
      to.replace(/[0-9a-f]{64}$/, (digest) => digest.toUpperCase()),
    ),
    good.replace(to, ` ${to}`),
    good.replace(to, `${to} `),
    good.replace(body, `${body} `),
    good.replace(body, `${body.slice(0, 400)}\n${body.slice(400)}`),
    good.replace(body, body.slice(4)),
    good.replace(body, `-${body.slice(1)}`),
    good.replace("Bw==", "Bx=="),
    good.replace(/to [^]*end/, "end"),
    good.replace("end\n", "end\r\n"),
    good.replace("\n", "\r\n"),
    `${"X: y\n".repeat(20_000)}${good}`,
  ]) {
    assert.notEqual(text, good);
    assert.throws(() => parseEnvelopes(Buffer.from(text, "latin1")), isRefusal, text.slice(0, 200));
  }
});

test("50 MB take less than a few seconds", () => {
  const envelope = makeEnvelope(ALICE, randomBytes(50_000_000));
  const started = performance.now();
  const bytes = joined(printEnvelopes([envelope]));
  const parsed = parseEnvelopes(bytes);
  const took = performance.now() - started;
  assert.equal(parsed[0]?.file.equals(envelope.file), true);
  assert.ok(took < 5000, `${took} ms`);
});
