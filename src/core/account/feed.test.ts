import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  FEED_HELLO,
  type FeedReader,
  type Frame,
  fromAccept,
  fromJudge,
  fromKeys,
  fromLedger,
  fromOperator,
  MAX_RECORD_BYTES,
  plainText,
  printFrame,
  toOperator,
} from "./feed.ts";

const HELLO = `${FEED_HELLO}\n`;
const ID = "AAAAAAAAAAAAAAAAAAAAAA";
const ID2 = "BBBBBBBBBBBBBBBBBBBBBA";
const HASH = `${"A".repeat(43)}=`;
const signed = Buffer.from("bytes\nof \xff anything", "latin1");

const talks: readonly (readonly [() => FeedReader<Frame>, readonly Frame[]])[] = [
  [
    fromAccept,
    [
      { kind: "alive" },
      { kind: "have", account: null, version: 3, hash: HASH },
      { kind: "have", account: ID, version: 1, hash: HASH },
      { kind: "have", account: ID2, version: 999_999_999_999_999, hash: HASH },
      { kind: "ready" },
      { kind: "took", account: null, version: 4 },
      { kind: "took", account: ID, version: 2 },
      { kind: "refused", account: ID2, version: 2, code: "KEY-TWICE", text: "a key stands twice: x" },
      { kind: "alive" },
    ],
  ],
  [fromAccept, [{ kind: "have", account: null, version: 0, hash: null }, { kind: "ready" }]],
  [
    fromLedger,
    [
      { kind: "record", of: "directory", accepted: 0, signed },
      { kind: "alive" },
      { kind: "record", of: "state", accepted: 17, signed },
    ],
  ],
  [fromKeys, [{ kind: "proposal", number: 0, name: "j.doe", signed }, { kind: "alive" }]],
  [
    fromJudge,
    [
      { kind: "answer", number: 5, code: "ACCEPTED", version: 2, text: "version 2 was accepted" },
      { kind: "answer", number: 6, code: "STATE", version: null, text: "x" },
      { kind: "alive" },
    ],
  ],
  [
    fromOperator,
    [
      { kind: "submit", of: "directory", signed },
      { kind: "submit", of: "state", signed },
      { kind: "ask", what: "status" },
      { kind: "ask", what: "dump" },
    ],
  ],
  [
    toOperator,
    [
      { kind: "reply", code: "ACCEPTED", text: "version 1" },
      { kind: "status", json: Buffer.from("{}") },
      { kind: "record", of: "state", accepted: 3, signed },
      { kind: "end" },
    ],
  ],
];

test("what one side prints the other reads, in pieces of any size", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...talks),
      fc.array(fc.nat({ max: 40 }), { maxLength: 60 }),
      ([reader, frames], cuts) => {
        const bytes = Buffer.concat([Buffer.from(HELLO), ...frames.map(printFrame)]);
        const feed = reader();
        const read: Frame[] = [];
        let at = 0;
        for (const cut of cuts) {
          read.push(...feed.push(bytes.subarray(at, at + cut)));
          at += cut;
        }
        read.push(...feed.push(bytes.subarray(at)));
        assert.deepEqual(read, frames);
        assert.equal(feed.isBetweenFrames, true);
      },
    ),
  );
});

test("payloads are copies: the caller may use the chunk again", () => {
  const chunk = Buffer.concat([Buffer.from(HELLO), printFrame({ kind: "record", of: "state", accepted: 1, signed })]);
  const [frame] = fromLedger().push(chunk);
  chunk.fill(0);
  assert.ok(frame?.kind === "record");
  assert.deepEqual(frame.signed, signed);
});

const directory = `have directory 1 ${HASH}\n`;
const wrong: Record<string, readonly [() => FeedReader<Frame>, string]> = {
  "another protocol": [fromLedger, "SSH-2.0-OpenSSH_10.0\n"],
  "no greeting": [fromLedger, "alive\n"],
  "greeting twice": [fromLedger, `${HELLO}${HELLO}`],
  "line without end": [fromLedger, HELLO + "a".repeat(1025)],
  "long line": [fromAccept, `${HELLO}${directory}ready\nrefused directory 1 KEY ${"a".repeat(1024)}\n`],
  "carriage return": [fromLedger, `${HELLO}alive\r\n`],
  "not ASCII": [fromJudge, `${HELLO}answer 1 ACCEPTED 1 \xe9\n`],
  "escape sequence": [fromJudge, `${HELLO}answer 1 ACCEPTED 1 \x1b[2J\n`],
  "empty line": [fromLedger, `${HELLO}\n`],
  "two spaces": [fromLedger, `${HELLO}state  1 1\n`],
  "no payload": [fromLedger, `${HELLO}state 1 0\n`],
  "negative payload": [fromLedger, `${HELLO}state 1 -1\n`],
  "hexadecimal payload": [fromLedger, `${HELLO}state 1 0x10\n`],
  "state too large": [fromLedger, `${HELLO}state 1 ${MAX_RECORD_BYTES.state + 1}\n`],
  "directory too large": [fromLedger, `${HELLO}directory 1 ${MAX_RECORD_BYTES.directory + 1}\n`],
  "number too large": [fromLedger, `${HELLO}state 1000000000000000 1\n`],
  "proposal too large": [fromKeys, `${HELLO}proposal 1 alice ${MAX_RECORD_BYTES.state + 1}\n`],
  "proposal for a system user": [fromKeys, `${HELLO}proposal 1 root 1\n`],
  "proposal for a path": [fromKeys, `${HELLO}proposal 1 ../alice 1\n`],
  "words of another talk": [fromLedger, `${HELLO}ready\n`],
  "accounts before the directory": [fromAccept, `${HELLO}have account ${ID} 1 ${HASH}\n`],
  "directory twice": [fromAccept, HELLO + directory + directory],
  "account twice": [fromAccept, `${HELLO}${directory}${`have account ${ID} 1 ${HASH}\n`.repeat(2)}`],
  "accounts not sorted": [
    fromAccept,
    `${HELLO}${directory}have account ${ID2} 1 ${HASH}\nhave account ${ID} 1 ${HASH}\n`,
  ],
  "account without version": [fromAccept, `${HELLO}${directory}have account ${ID} 0 -\n`],
  "version without hash": [fromAccept, `${HELLO}have directory 1 -\n`],
  "account id that is none": [fromAccept, `${HELLO}${directory}have account ${"B".repeat(22)} 1 ${HASH}\n`],
  "ready at once": [fromAccept, `${HELLO}ready\n`],
  "ready twice": [fromAccept, `${HELLO}${directory}ready\nready\n`],
  "have behind ready": [fromAccept, `${HELLO}${directory}ready\nhave account ${ID} 1 ${HASH}\n`],
  "took before ready": [fromAccept, `${HELLO}${directory}took directory 1\n`],
  "refused without text": [fromAccept, `${HELLO}${directory}ready\nrefused directory 1 KEY \n`],
  "code in lower case": [fromJudge, `${HELLO}answer 1 accepted 1 x\n`],
  "constructor as a code": [fromJudge, `${HELLO}answer 1 __proto__ 1 x\n`],
};

for (const [name, [reader, text]] of Object.entries(wrong)) {
  test(`refused: ${name}`, () => {
    assert.throws(() => reader().push(Buffer.from(text, "latin1")), { code: "FEED" });
  });
}

test("no more than 40,000 accounts are announced", () => {
  const feed = fromAccept();
  const ids = Array.from({ length: 40_001 }, (_, index) => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32BE(index);
    return bytes.toString("base64url");
  }).sort();
  const lines = ids.map((id) => `have account ${id} 1 ${HASH}\n`);
  feed.push(Buffer.from(HELLO + directory + lines.slice(0, 40_000).join("")));
  assert.throws(() => feed.push(Buffer.from(lines[40_000] ?? "")), { code: "FEED" });
});

test("a payload that comes byte by byte takes the memory of its length, not of its pieces", () => {
  const feed = fromLedger();
  feed.push(Buffer.from(`${HELLO}directory 1 ${MAX_RECORD_BYTES.directory}\n`));
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 200_000; count++) feed.push(Buffer.from("a"));
  assert.ok(process.memoryUsage().heapUsed - before < 40 * 1024 * 1024);
});

test("texts become one plain line", () => {
  assert.equal(plainText('caf\u00e9 "x"\r\n\tsecond\x1b[2J'), 'caf? "x" second?[2J');
  assert.equal(plainText("\n"), "-");
  assert.equal(plainText("a".repeat(5000)).length, 700);
  const frame = printFrame({ kind: "refused", account: ID, version: 1, code: "STATE", text: "a\nb" });
  assert.equal(frame.toString(), `refused account ${ID} 1 STATE a b\n`);
});
