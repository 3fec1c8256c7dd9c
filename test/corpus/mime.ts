/** Nested bodies, attachments, and what programs attach besides. */

import { base64Lines, type CorpusMail, exact, mail, multipart, type Part, utf8 } from "#test/corpus/compose.ts";
import { seededBytes } from "#test/corpus/seeded.ts";

const mime = "MIME-Version: 1.0";
const text: Part = { type: "text/plain; charset=us-ascii", body: ["Hello Alice,", "see the other part."] };
const html: Part = { type: "text/html; charset=us-ascii", body: ["<p>Hello Alice,<br>see the other part."] };
const base64 = "Content-Transfer-Encoding: base64";

function attachment(name: string, bytes: Uint8Array): Part {
  return {
    type: `application/octet-stream; name="${name}"`,
    fields: [base64, `Content-Disposition: attachment; filename="${name}"`],
    body: base64Lines(bytes),
  };
}

function multipartMail(subject: string, kind: string, boundary: string, parts: readonly Part[], around: string[] = []) {
  const fields = [mime, `Content-Type: multipart/${kind}; boundary="${boundary}"`];
  return mail(subject, fields, [...around, ...multipart(boundary, parts), ...around]);
}

/** A multipart as a part of another. */
function nested(kind: string, boundary: string, parts: readonly Part[]): Part {
  return { type: `multipart/${kind}; boundary="${boundary}"`, body: ["", ...multipart(boundary, parts)] };
}

function deeplyNested(levels: number): Part {
  return levels === 0 ? text : nested("mixed", `level-${levels}`, [deeplyNested(levels - 1)]);
}

export function mimeMails(): CorpusMail[] {
  const picture = { ...attachment("dot.png", seededBytes("picture", 900)), type: "image/png" };
  const inline: Part = { ...picture, fields: [base64, "Content-ID: <dot@post.example>"] };
  return [
    exact("plain-text", "the mail that everyone sends", mail("plain text", [], ["Hello Alice,", "", "bye", "Ada"])),
    exact(
      "multipart-alternative",
      "text and HTML of the same",
      multipartMail("alternative", "alternative", "a1", [text, html]),
    ),
    exact(
      "multipart-nested",
      "mixed > alternative > related, as mail programs make of a letter with a picture and an attachment",
      multipartMail("nested", "mixed", "outer", [
        nested("alternative", "middle", [text, nested("related", "inner", [html, inline])]),
        attachment("numbers.bin", seededBytes("numbers", 3000)),
      ]),
    ),
    exact(
      "multipart-60-levels",
      "deeper than any parser likes",
      multipartMail("deep", "mixed", "top", [deeplyNested(60)]),
    ),
    exact(
      "multipart-500-parts",
      "many parts",
      multipartMail(
        "many parts",
        "mixed",
        "m",
        Array.from({ length: 500 }, () => text),
      ),
    ),
    exact(
      "multipart-preamble-epilogue",
      "text before the first and after the last boundary",
      multipartMail("around", "mixed", "b", [text], ["This is a message with several parts.", ""]),
    ),
    exact(
      "multipart-boundary-never-closed",
      "the closing boundary is missing",
      multipartMail("open end", "mixed", "b", [text]).replace("--b--\r\n", ""),
    ),
    exact(
      "multipart-boundary-odd",
      "a boundary with every character that is allowed and some blanks",
      multipartMail("odd boundary", "mixed", "=_ '()+_,-./:=? x", [text]),
    ),
    exact(
      "multipart-without-boundary",
      "a multipart that names no boundary",
      mail("no boundary", [mime, "Content-Type: multipart/mixed"], ["--?", "", "text"]),
    ),
    exact(
      "message-rfc822",
      "a forwarded mail inside, with header fields of its own that nobody may rename",
      mail(
        "forwarded",
        [mime, 'Content-Type: message/rfc822; name="forwarded.eml"'],
        ["Return-Path: <inner@post.example>", "Delivered-To: inner@post.example", "Shoal-Length: 7", "", "inner text"],
      ),
    ),
    exact(
      "attachment-base64-no-line-breaks",
      "20,000 characters of base64 in one line",
      mail("one line", [mime, base64], [seededBytes("one line", 15_000).toString("base64")]),
    ),
    exact(
      "attachment-name-encoded",
      "file names by RFC 2231 and, wrongly, by RFC 2047",
      multipartMail("file names", "mixed", "n", [
        {
          type: "application/pdf",
          fields: ["Content-Disposition: attachment;", "\tfilename*0*=utf-8''%C3%9Cber", "\tfilename*1*=%20uns.pdf"],
          body: ["x"],
        },
        { type: `application/pdf; name="=?utf-8?B?${Buffer.from("Über uns").toString("base64")}?="`, body: ["x"] },
      ]),
    ),
    exact(
      "attachment-name-hostile",
      "a file name with a path, quotes and control characters",
      multipartMail("bad name", "mixed", "n", [
        attachment('../../etc/passwd\\"\x01\x1b[31m', seededBytes("bad name", 30)),
      ]),
    ),
    exact(
      "attachment-25-megabytes",
      "the largest attachment that most of the world takes, 34 MB on the wire",
      multipartMail("large", "mixed", "large", [text, attachment("film.bin", seededBytes("film", 25_000_000))]),
    ),
    exact(
      "external-body",
      "a part that is somewhere else",
      mail(
        "elsewhere",
        [mime, "Content-Type: message/external-body; access-type=URL;", '\tURL="http://post.example/x"'],
        ["Content-Type: text/plain", "Content-ID: <x@post.example>", ""],
      ),
    ),
    exact(
      "partial",
      "the second of three pieces of a mail (message/partial)",
      mail("piece", [mime, 'Content-Type: message/partial; id="p@post.example"; number=2; total=3'], ["middle"]),
    ),
    exact(
      "tnef",
      "a winmail.dat of one maker's programs",
      multipartMail("winmail", "mixed", "w", [
        text,
        {
          type: 'application/ms-tnef; name="winmail.dat"',
          fields: [base64],
          body: base64Lines(Buffer.concat([Buffer.from([0x78, 0x9f, 0x3e, 0x22]), seededBytes("tnef", 500)])),
        },
      ]),
    ),
    exact(
      "yenc-like",
      "binary in all 8-bit values but NUL, CR and LF, with critical ones escaped by =",
      mail(
        "yenc",
        [],
        ["=ybegin line=128 size=12800 name=x.bin", ...yencLines(seededBytes("yenc", 12_800)), "=yend size=12800"],
      ),
    ),
    exact(
      "uuencode",
      "a file in the body as it was done before MIME, with back-quotes and a final dot line",
      mail("uuencode", [], ["begin 644 x.bin", ...uuLines(seededBytes("uu", 1000)), "`", "end", "."]),
    ),
    exact(
      "html-only",
      "HTML in UTF-8 without a plain text part",
      mail(
        "html",
        [mime, "Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: 8bit"],
        ["<!doctype html>", `<p>${utf8("Grüße – „so“ 🐟")}</p>`],
      ),
    ),
  ];
}

/** yEnc: each byte plus 42; NUL, LF, CR and = are escaped. */
function yencLines(bytes: Buffer): string[] {
  const escaped = Array.from(bytes, (byte) => {
    const code = (byte + 42) % 256;
    return [0, 10, 13, 61].includes(code) ? `=${String.fromCharCode((code + 64) % 256)}` : String.fromCharCode(code);
  });
  return Array.from({ length: Math.ceil(escaped.length / 128) }, (_, line) =>
    escaped.slice(line * 128, (line + 1) * 128).join(""),
  );
}

function uuLines(bytes: Buffer): string[] {
  const character = (bits: number): string => String.fromCharCode((bits & 63) === 0 ? 96 : (bits & 63) + 32);
  return Array.from({ length: Math.ceil(bytes.length / 45) }, (_, line) => {
    const row = bytes.subarray(line * 45, (line + 1) * 45);
    const groups = Array.from({ length: Math.ceil(row.length / 3) }, (_, group) => {
      const [a = 0, b = 0, c = 0] = row.subarray(group * 3, group * 3 + 3);
      return [a >> 2, (a << 4) | (b >> 4), (b << 2) | (c >> 6), c].map(character).join("");
    });
    return character(row.length) + groups.join("");
  });
}
