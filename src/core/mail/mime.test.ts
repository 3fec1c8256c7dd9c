import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { corpus } from "#test/corpus/corpus.ts";
import { mailTextOf } from "./mail-text.ts";
import { MAX_BOUNDARY_CHARACTERS, MAX_DEPTH, MAX_PARTS, parseMime } from "./mime.ts";

function partsOf(text: string): [string, string][] {
  return parseMime(Buffer.from(text, "latin1")).parts.map(({ type, body }) => [type, body.toString("latin1")]);
}

function mixed(boundary: string, ...lines: readonly string[]): string {
  return [`Content-Type: multipart/mixed; boundary="${boundary}"`, "", ...lines].join("\n");
}

/** Each byte may be looked at a few times: as a line, as a boundary, again behind a header without its empty line. */
function assertLinear(text: string | Buffer): ReturnType<typeof parseMime> {
  const message = parseMime(Buffer.from(text));
  assert.ok(message.steps <= 4 * text.length + 10, `${message.steps} steps for ${text.length} bytes`);
  return message;
}

test("takes a message apart", () => {
  for (const [text, expected] of [
    ["Subject: x\n\nbody\n", [["text/plain", "body\n"]]],
    ["Subject: x\n", [["text/plain", ""]]],
    ["Content-Type: nonsense\n\nbody", [["text/plain", "body"]]],
    [
      mixed(
        "b",
        "preamble",
        "--b",
        "",
        "one",
        "",
        "--b  ",
        "Content-Type: a/b",
        "",
        "two",
        "--b--",
        "epilogue",
        "--b",
        "",
        "no",
      ),
      [
        ["text/plain", "one\n"],
        ["a/b", "two"],
      ],
    ],
    [mixed("b", "--b", "", "open end"), [["text/plain", "open end"]]],
    [mixed("b", "--b", "no header here", "--b--", ""), [["text/plain", "no header here"]]],
    [
      mixed("b", "--b", "Subject: only a header", "--b", "", "two", "--b--"),
      [
        ["text/plain", ""],
        ["text/plain", "two"],
      ],
    ],
    [
      mixed("b", "--b", "Content-Type: multipart/mixed; boundary=c", "--c", "", "x", "--c--", "--b--", ""),
      [["text/plain", "x"]],
    ],
    // The whole line must fit, so that one boundary may start another.
    [
      mixed("b", "--b", "Content-Type: multipart/mixed; boundary=bb", "", "--bb", "", "--bbb", "--bb--", "--b--", ""),
      [["text/plain", "--bbb"]],
    ],
    [
      mixed("b", "--b", "Content-Type: multipart/mixed; boundary=b--", "", "--b--", "", "x", "--b----", "--b--", ""),
      [["text/plain", "x"]],
    ],
    // The same one inside itself belongs to the inner one.
    [
      mixed(
        "b",
        "--b",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "x",
        "--b--",
        "--b",
        "",
        "y",
        "--b--",
        "",
      ),
      [
        ["text/plain", "x"],
        ["text/plain", "y"],
      ],
    ],
    // An outer boundary ends what is inside it.
    [
      mixed(
        "b",
        "--b",
        "Content-Type: multipart/mixed; boundary=c",
        "",
        "--c",
        "",
        "x",
        "--b",
        "",
        "y",
        "--c",
        "--b--",
      ),
      [
        ["text/plain", "x"],
        ["text/plain", "y\n--c"],
      ],
    ],
    // Without any boundary it stays in one piece.
    [mixed("b", "text", "--c"), [["multipart/mixed", "text\n--c"]]],
    [mixed("", "text"), [["multipart/mixed", "text"]]],
    ["Content-Type: multipart/mixed\n\n--\ntext", [["multipart/mixed", "--\ntext"]]],
    [mixed("b", "--b--", "epilogue"), []],
    [
      "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\n--b--\n",
      [["message/rfc822", "Subject: x\n"]],
    ],
    [mixed("b", "--b", "", "one", "--b--").replaceAll("\n", "\r\n"), [["text/plain", "one"]]],
  ] as const) {
    assert.deepEqual(partsOf(text), expected, text);
  }
});

test("gives the names of files, the charset, the encoding", () => {
  const [part] = parseMime(
    Buffer.from(
      "Content-Type: Text/X; charset=KOI8-R; name=a\nContent-Disposition: attachment; filename*=utf-8''%C3%9C\n" +
        "Content-Transfer-Encoding: BASE64 (really)\n\n",
    ),
  ).parts;
  assert.ok(part);
  const { body: _, ...rest } = part;
  assert.deepEqual(rest, { type: "text/x", charset: "KOI8-R", encoding: "BASE64 ", isAttachment: true, fileName: "Ü" });
});

test("chooses what is for reading", () => {
  const alternative = ["--b", "Content-Type: text/html", "", "<b>h</b>", "--b", "", "plain", "--b--"];
  const file = [
    "--b",
    "Content-Disposition: attachment",
    "",
    "file",
    "--b",
    "Content-Type: text/html",
    "",
    "<b>h</b>",
    "--b--",
  ];
  for (const [text, expected, isFromHtml] of [
    [mixed("b", ...alternative), "plain", false],
    [mixed("b", ...file), "h\n", true],
    ["Content-Type: text/x-other\n\nother", "other", false],
    ["Content-Type: image/png\n\nother", "", false],
    ["Content-Type: text/plain; charset=nope\n\na\xfcb", "a\ufffdb", false],
    ["Content-Transfer-Encoding: base64\n\nYQ0KYg==", "a\nb", false],
  ] as const) {
    const chosen = mailTextOf(parseMime(Buffer.from(text, "latin1")));
    assert.deepEqual([chosen.text, chosen.isFromHtml], [expected, isFromHtml], text);
  }
});

test("multiparts a thousand deep: opened to a limit, in linear time", () => {
  for (const boundary of [
    (level: number) => `b${level}`,
    () => "same",
    (level: number) => "b".repeat(1 + (level % 199)),
  ]) {
    const lines: string[] = [];
    for (let level = 0; level < 1000; level++) {
      lines.push(`Content-Type: multipart/mixed; boundary="${boundary(level)}"`, "", `--${boundary(level)}`);
    }
    const inside = Array.from({ length: 20_000 }, (_, index) => `--${boundary(index)}x`);
    const message = assertLinear([...lines, "", ...inside, ""].join("\n"));
    assert.equal(message.limited, true);
    assert.ok(message.parts.length <= MAX_DEPTH + MAX_PARTS);
  }
});

test("a hundred thousand parts: taken apart to a limit", () => {
  const message = assertLinear(mixed("b", "--b\n\nx\n".repeat(100_000)));
  assert.deepEqual([message.parts.length, message.limited], [MAX_PARTS, true]);
  const opened = assertLinear(mixed("b", "--b\nContent-Type: multipart/mixed; boundary=c\n\n".repeat(100_000)));
  assert.deepEqual([opened.parts.length, opened.limited], [MAX_PARTS, true]);
});

test("long lines that could be boundaries, and boundaries that are too long", () => {
  assertLinear(mixed("b", `--${" ".repeat(1_000_000)}b`, `--b${" ".repeat(1_000_000)}`, "-".repeat(1_000_000)));
  const long = "b".repeat(MAX_BOUNDARY_CHARACTERS + 1);
  assert.equal(parseMime(Buffer.from(mixed(long, `--${long}`, "", "x"))).parts[0]?.type, "multipart/mixed");
});

test("the corpus is read, in linear time", () => {
  for (const { name, bytes } of corpus()) {
    const message = assertLinear(Buffer.from(bytes.toString("latin1").replaceAll("\r\n", "\n"), "latin1"));
    // A message whose multipart is closed before its first part has none.
    assert.ok(message.parts.length > 0 || name.includes("boundary"), name);
  }
});

test("any bytes and any changed mail are read without an error, in linear time", () => {
  const mails = corpus().filter(({ bytes }) => bytes.length < 10_000);
  const change = fc.record({ at: fc.nat(10_000), remove: fc.nat(40), insert: fc.uint8Array({ maxLength: 8 }) });
  const changed = fc
    .tuple(fc.constantFrom(...mails), fc.array(change, { minLength: 1, maxLength: 6 }))
    .map(([mail, changes]) =>
      changes.reduce((bytes, { at, remove, insert }) => {
        const start = at % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)]);
      }, mail.bytes),
    );
  const anything = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(changed, anything), (bytes) => {
      mailTextOf(assertLinear(bytes));
    }),
    { numRuns: 500 },
  );
});
