/** Characters: 8-bit bodies, raw and encoded headers, quoted-printable. */

import { type CorpusMail, crlf, exact, mail, ordinaryHeader, utf8 } from "#test/corpus/compose.ts";
import { seededBytes } from "#test/corpus/seeded.ts";

function charset(name: string): string[] {
  return ["MIME-Version: 1.0", `Content-Type: text/plain; charset=${name}`, "Content-Transfer-Encoding: 8bit"];
}

const quotedPrintable = [
  "MIME-Version: 1.0",
  "Content-Type: text/plain; charset=utf-8",
  "Content-Transfer-Encoding: quoted-printable",
];

/** Every byte but NUL, CR and LF. */
const everyByte = Array.from({ length: 256 }, (_, byte) => byte)
  .filter((byte) => ![0, 10, 13].includes(byte))
  .map((byte) => String.fromCharCode(byte))
  .join("");

export function encodingMails(): CorpusMail[] {
  return [
    exact(
      "charset-utf-8",
      "UTF-8 in 8 bits",
      mail("utf-8", charset("utf-8"), [utf8("Zwölf Boxkämpfer – 日本語 – 🐟")]),
    ),
    exact("charset-iso-8859-1", "Latin-1", mail("latin-1", charset("iso-8859-1"), ["Zw\xf6lf Boxk\xe4mpfer"])),
    exact(
      "charset-windows-1252",
      "bytes that Latin-1 does not have",
      mail("1252", charset("windows-1252"), ["\x93quoted\x94 \x96 \x80 5"]),
    ),
    exact(
      "charset-koi8-r",
      "Russian in 8 bits",
      mail("koi8-r", charset("koi8-r"), ["\xf0\xd2\xc9\xd7\xc5\xd4, \xcd\xc9\xd2"]),
    ),
    exact(
      "charset-shift-jis",
      "two-byte characters whose second byte is an ASCII backslash",
      mail("shift-jis", charset("shift_jis"), ["\x83\x5c\x94\x5c\x95\x5c"]),
    ),
    exact(
      "charset-iso-2022-jp",
      "Japanese in 7 bits with escape sequences",
      mail(
        "2022-jp",
        ["MIME-Version: 1.0", "Content-Type: text/plain; charset=iso-2022-jp"],
        ["\x1b$B$3$s$K$A$O\x1b(B"],
      ),
    ),
    exact(
      "charset-gb18030",
      "Chinese in one to four bytes",
      mail("gb18030", charset("gb18030"), ["\xc4\xe3\xba\xc3\x81\x30\x89\x38"]),
    ),
    exact(
      "charset-utf-7",
      "UTF-7, which hides markup",
      mail("utf-7", charset("utf-7"), ["+ADw-b+AD4- Hi Mom -+Jjo--!"]),
    ),
    exact(
      "charset-lies",
      "says ASCII and is UTF-8 and Latin-1",
      mail("lies", charset("us-ascii"), [utf8("ü"), "\xfc"]),
    ),
    exact(
      "utf-8-broken",
      "over-long, cut and surrogate sequences",
      mail("broken utf-8", charset("utf-8"), ["\xc0\xaf \xe2\x82 \xed\xa0\x80 \xf8\x88\x80\x80\x80 \xff\xfe"]),
    ),
    exact("every-byte-in-body", "every byte but NUL, CR and LF", mail("every byte", [], [everyByte, everyByte])),
    exact(
      "binary-lines",
      "lines of random bytes",
      mail(
        "random",
        charset("x-unknown"),
        Array.from({ length: 300 }, (_, line) =>
          seededBytes(`line ${line}`, line)
            .toString("latin1")
            .replaceAll(/[\0\r\n]/g, "?"),
        ),
      ),
    ),
    exact(
      "byte-order-mark",
      "a UTF-8 byte order mark in front of the first header field",
      `\xef\xbb\xbf${mail("byte order mark", [], ["text"])}`,
    ),
    exact(
      "byte-order-mark-in-body",
      "a byte order mark starts the body",
      mail("mark in body", charset("utf-8"), ["\xef\xbb\xbftext"]),
    ),
    exact(
      "header-raw-utf-8",
      "UTF-8 in subject, names and an address without any encoding",
      crlf(
        `Subject: ${utf8("Grüße 🐟")}`,
        `From: ${utf8("Änne Öztürk <änne@post.example>")}`,
        `To: ${utf8("„Alice“")} <alice@shoal.example>`,
        "",
        "text",
      ),
    ),
    exact(
      "header-raw-latin-1",
      "Latin-1 in the subject without any encoding",
      mail("Gr\xfc\xdfe", ["X-Sender: \xc4nne"], ["text"]),
    ),
    exact(
      "header-name-8-bit",
      "a field name with 8-bit characters",
      mail("8-bit name", [`X-${utf8("Größe")}: 5`], ["text"]),
    ),
    exact(
      "header-encoded-words",
      "encoded words: both encodings, split inside a character, over-long, broken",
      mail(
        "=?utf-8?B?R3LDvMOfZQ==?= =?ISO-8859-1?q?Gr=FC=DFe?= =?utf-8?Q?=F0=9F?=",
        [
          "X-Split: =?utf-8?Q?=F0=9F?=",
          "\t=?utf-8?Q?=90=9F?=",
          `X-Long: =?utf-8?Q?${"=C3=BC".repeat(200)}?=`,
          "X-Broken: =?utf-8?B?not base64?= =?utf-8?X?x?= =?utf-8?Q?open",
        ],
        ["text"],
      ),
    ),
    exact(
      "quoted-printable-edges",
      "soft breaks, a line end of blanks, lower-case and wrong escapes, a line of 76 and one of 1,000 characters",
      mail("quoted-printable", quotedPrintable, [
        "=C3=BC=",
        "=c3=bc =20",
        "blank at the end ",
        "tab at the end\t",
        "wrong: =XY =4 = ==",
        "x".repeat(75).concat("="),
        "y".repeat(1000),
        "=",
        "=",
        "",
        "=2E",
        ".=",
      ]),
    ),
    exact(
      "quoted-printable-of-line-ends",
      "CR, LF and NUL as escapes: bytes on the wire stay clean",
      mail("escaped line ends", quotedPrintable, ["a=0D=0Ab=0Ac=0Dd=00e=0D=0A.=0D=0AMAIL FROM:<x@post.example>"]),
    ),
    exact(
      "format-flowed",
      "soft line ends by a blank at the end (RFC 3676), with quotes, stuffing and a signature",
      mail(
        "flowed",
        ["MIME-Version: 1.0", "Content-Type: text/plain; format=flowed; delsp=yes"],
        [
          "This is a long line that the writer's program broke  ",
          "into two.",
          ">> quoted  ",
          ">> twice",
          " From the start",
          " > not a quote",
          "-- ",
          "Ada",
        ],
      ),
    ),
    exact(
      "control-characters-in-body",
      "all control characters but NUL, CR and LF; terminal escapes",
      mail("control", [], ["\x01\x02\x03\x07\x08\x0b\x0c\x0e\x1a\x1b[2J\x1b]0;title\x07\x7f", "\x1a", "\x04"]),
    ),
    exact(
      "control-characters-in-header",
      "control characters in values and a name that is none",
      crlf(
        ...ordinaryHeader("bell \x07 escape \x1b[31m"),
        "X-Tab:\tvalue\t",
        "X-Vertical: a\x0bb\x0cc",
        "X\x01Y: z",
        "",
        "text",
      ),
    ),
    exact(
      "percent-and-pipe",
      "what format strings and our own protocols could trip over",
      mail("%s%n%d | a|b", [], ["%s %n %99999d", "a|b|c|", "|", "%"]),
    ),
  ];
}
