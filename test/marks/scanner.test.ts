import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type MarkEncoding, makeMark, markLetters, needlesOf } from "#test/marks/marks.ts";
import { compileMarks, MarkScanner } from "#test/marks/scanner.ts";

const mark = "qwmzkvtrhpolncbxesydfgja";
const automaton = compileMarks([mark]);

function scan(bytes: string | Buffer, ...cuts: number[]): MarkScanner {
  const scanner = new MarkScanner(automaton);
  const data = Buffer.from(bytes);
  let from = 0;
  for (const cut of [...cuts.sort((a, b) => a - b), data.length]) {
    scanner.feed(data.subarray(from, cut));
    from = Math.max(from, cut);
  }
  return scanner;
}

function encodingsIn(bytes: string | Buffer): MarkEncoding[] {
  return scan(bytes).hits.map((hit) => hit.encoding);
}

/** Every character as =XX, a soft line break after every `width` characters. */
function quoted(text: string, width: number): string {
  const all = Buffer.from(text).toString("hex").toUpperCase().replaceAll(/../g, "=$&");
  return all.replaceAll(new RegExp(`(?:=..){${width}}`, "g"), "$&=\r\n");
}

function wrapped(text: string, width: number, lineEnd = "\r\n"): string {
  return text.replaceAll(new RegExp(`.{${width}}`, "g"), `$&${lineEnd}`);
}

test("a mark is random and long", () => {
  const marks = Array.from({ length: 100 }, makeMark);
  assert.equal(new Set(marks).size, 100);
  for (const one of marks) assert.match(one, new RegExp(`^[a-z]{${markLetters}}$`));
});

test("marks that chance could find are refused", () => {
  for (const bad of ["", "short", "UPPERCASELETTERSHERE", "with space inside it", "a".repeat(65)]) {
    assert.throws(() => needlesOf(bad), RangeError);
  }
});

test("nothing is found where nothing is", () => {
  assert.deepEqual(encodingsIn(""), []);
  assert.deepEqual(encodingsIn(mark.slice(1)), []);
  assert.deepEqual(encodingsIn(`${mark.slice(0, 12)}-${mark.slice(12)}`), []);
  assert.deepEqual(encodingsIn(Buffer.from([...Array(256).keys()])), []);
});

test("plain, in any case", () => {
  const mixed = Array.from(mark, (letter, i) => (i % 3 === 0 ? letter.toUpperCase() : letter)).join("");
  for (const form of [mark, mark.toUpperCase(), mixed]) {
    assert.deepEqual(scan(`Subject: ${form}\r\n`).hits, [{ mark, encoding: "plain", end: 9 + markLetters, count: 1 }]);
  }
});

test("plain across a folded header, a soft break, and with the letters before it eaten by a sign", () => {
  assert.deepEqual(encodingsIn(`${mark.slice(0, 9)}\r\n\t ${mark.slice(9)}`), ["plain"]);
  assert.deepEqual(encodingsIn(`${mark.slice(0, 9)}=\n${mark.slice(9)}`), ["quoted-printable"]);
  assert.deepEqual(encodingsIn(`x=${mark}`), ["plain"]);
});

test("UTF-16 of either byte order", () => {
  const little = Buffer.from(`Über ${mark} `, "utf16le");
  assert.deepEqual(encodingsIn(little), ["utf-16le"]);
  assert.deepEqual(encodingsIn(Buffer.from(little).swap16()), ["utf-16le"]);
});

test("hex in any case, also grouped", () => {
  const hex = Buffer.from(mark).toString("hex");
  assert.deepEqual(encodingsIn(hex), ["hex"]);
  assert.deepEqual(encodingsIn(hex.toUpperCase()), ["hex"]);
  assert.deepEqual(encodingsIn(Buffer.from(mark.toUpperCase()).toString("hex")), ["hex"]);
  assert.deepEqual(encodingsIn(wrapped(hex, 4, " ")), ["hex"]);
});

test("base64 at every alignment, at every line width, upper-case marks too", () => {
  for (const form of [mark, mark.toUpperCase()]) {
    for (let before = 0; before < 7; before++) {
      const body = Buffer.from(`${"é,!z9K~".slice(0, before)}${form}. Regards`).toString("base64");
      for (let width = 1; width < 80; width++) {
        for (const lineEnd of ["\n", "\r\n"]) assert.deepEqual(encodingsIn(wrapped(body, width, lineEnd)), ["base64"]);
      }
    }
  }
});

test("quoted-printable: every character escaped, soft breaks at every place, mixed with letters", () => {
  assert.deepEqual(encodingsIn(quoted(mark, 1000)), ["quoted-printable"]);
  assert.deepEqual(encodingsIn(quoted(mark, 1000).toLowerCase()), ["quoted-printable"]);
  for (let width = 1; width < 25; width++) assert.deepEqual(encodingsIn(quoted(mark, width)), ["quoted-printable"]);
  const mixed = Array.from(mark, (letter, i) => (i % 2 === 0 ? letter : quoted(letter, 9))).join("");
  assert.deepEqual(encodingsIn(`=${mixed}`), ["quoted-printable"]);
  assert.deepEqual(encodingsIn(`=4=${mixed}`), ["quoted-printable"]);
  assert.deepEqual(encodingsIn(quoted(mark, 1000).replaceAll("=", "%")), ["quoted-printable"]);
});

test("chunk borders do not exist", () => {
  const forms = [
    mark,
    wrapped(Buffer.from(`a${mark}`).toString("base64"), 11),
    quoted(mark, 3),
    Buffer.from(mark, "utf16le").toString("latin1"),
  ];
  const text = forms.join(" -- ");
  const whole = scan(text).hits;
  assert.equal(whole.length, 4);
  const cut = fc.nat(text.length);
  fc.assert(
    fc.property(fc.array(cut, { maxLength: 20 }), (cuts) => {
      assert.deepEqual(scan(text, ...cuts).hits, whole);
    }),
  );
  const single = Array.from({ length: text.length }, (_, i) => i);
  assert.deepEqual(scan(text, ...single).hits, whole);
});

test("many marks at once: each is told apart, hits are counted", () => {
  const marks = Array.from({ length: 50 }, makeMark);
  const scanner = new MarkScanner(compileMarks(marks));
  for (const one of marks) scanner.feed(Buffer.from(`${one} and ${one}\n`));
  assert.deepEqual(
    scanner.hits.map((hit) => [hit.mark, hit.encoding, hit.count]),
    marks.map((one) => [one, "plain", 2]),
  );
});

test("a hole of zeros ends every beginning and moves the position", () => {
  const scanner = new MarkScanner(automaton);
  scanner.feed(Buffer.from(mark.slice(0, 12)));
  scanner.skipZeros(4096);
  scanner.feed(Buffer.from(mark.slice(12)));
  assert.deepEqual(scanner.hits, []);
  scanner.feed(Buffer.from(mark));
  assert.deepEqual(scanner.hits, [{ mark, encoding: "plain", end: 4096 + 2 * markLetters, count: 1 }]);
});
