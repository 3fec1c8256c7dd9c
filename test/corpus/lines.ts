/** Lines: long ones, dots, ends. */

import { type CorpusMail, crlf, exact, hostile, mail, ordinaryHeader, refused } from "#test/corpus/compose.ts";

/** The longest line that is taken, without its CRLF. */
const longestLine = 65_000;

function longLine(length: number): string {
  return "0123456789".repeat(Math.ceil(length / 10)).slice(0, length);
}

/** Lines such that, whatever the size of a reader's chunk, a border falls on or beside a line of dots. */
function dotsEverywhere(bytes: number): string[] {
  const cycle = [".", "..", "...", "", ".x", "..."];
  const perCycle = crlf(...cycle).length;
  return Array.from({ length: Math.ceil(bytes / perCycle) }, () => cycle).flat();
}

export function lineMails(): CorpusMail[] {
  const header = ordinaryHeader("ends");
  return [
    exact("empty-message", "no byte at all", ""),
    exact("one-empty-line", "one empty line", "\r\n"),
    exact("one-character", "one character without a line end", "x"),
    exact("one-dot", "a line with one dot and nothing else", ".\r\n"),
    exact("body-empty", "header and empty body", crlf(...header, "")),
    exact("body-one-empty-line", "a body of one empty line", crlf(...header, "", "")),
    exact(
      "body-blanks",
      "lines of blanks and tabs, blanks at line ends",
      crlf(...header, "", " ", "\t", "x  ", "y\t", "  "),
    ),
    exact(
      "no-final-line-end",
      "the last line has no end, so the sender adds it",
      `${crlf(...header, "")}the last line`,
    ),
    exact(
      "ends-with-1000-empty-lines",
      "empty lines at the end, as our padding looks",
      crlf(...header, "", "text", ...Array<string>(1000).fill("")),
    ),
    exact("ends-with-dots", "lines of dots at the very end", crlf(...header, "", "text", "..", ".")),
    exact(
      "dots",
      "lines that start with dots",
      mail("dots", [], [".", "..", "...", "...text", ".text", ". ", ".\t.", " .", "."]),
    ),
    exact(
      "dots-in-header",
      "header values and continuations of dots",
      crlf(...header, ".: x", "..X: y", "X-Dots: .", " .", "", "text"),
    ),
    exact(
      "dots-at-every-border",
      "300 KB in which every chunk border is near a line of dots",
      mail("dots everywhere", [], dotsEverywhere(300_000)),
    ),
    exact("dots-one-long-line", "a line of 50,000 dots", mail("long dots", [], [".".repeat(50_000)])),
    ...[998, 999, 1000, 2000, 4096, 16_384, 20_000, longestLine].map((length) =>
      exact(
        `line-${length}`,
        `a line of ${length} characters`,
        mail("long line", [], ["before", longLine(length), "after"]),
      ),
    ),
    exact(
      "lines-long-and-dots",
      "long lines that start with dots",
      mail("both", [], [`.${longLine(999)}`, `..${longLine(2000)}`]),
    ),
    exact("line-no-end-long", "a long last line without an end", `${crlf(...header, "")}${longLine(30_000)}`),
    exact(
      "many-short-lines",
      "200,000 lines of one character",
      mail("short lines", [], Array<string>(200_000).fill("x")),
    ),
    exact("many-empty-lines", "100,000 empty lines", mail("empty lines", [], Array<string>(100_000).fill(""))),
    exact(
      "from-lines",
      "lines that an mbox would escape",
      mail(
        "from",
        [],
        ["From here on", ">From quoted", "From ada@post.example Sun Nov 22 02:00:00 2026", "from lower"],
      ),
    ),
    exact(
      "smtp-commands-in-body",
      "SMTP commands as text",
      mail("commands", [], [".", "MAIL FROM:<x@post.example>", "RCPT TO:<alice@shoal.example>", "DATA", "QUIT", "."]),
    ),
    exact(
      "filter-protocol-in-body",
      "lines of smtpd's filter protocol as text",
      mail(
        "filter",
        [],
        [
          "filter-dataline|0123456789abcdef|0123456789abcdef|x",
          "report|0.7|1576146008|smtp-in|link-disconnect|0",
          "register|ready",
        ],
      ),
    ),
    refused(
      "line-65001",
      "a line longer than can pass smtpd's filters",
      mail("too long", [], [longLine(longestLine + 1)]),
    ),
    refused("line-1-megabyte", "a line of 1 MB", mail("far too long", [], [longLine(1_000_000)])),
    refused(
      "line-1-megabyte-in-header",
      "a field line of 1 MB",
      crlf(...header, `X-Long: ${longLine(1_000_000)}`, "", "text"),
    ),
    refused("nul-in-body", "a NUL byte", mail("nul", [], ["a\0b"])),
    refused("nul-in-header", "a NUL byte in a field", mail("nul \0 here", [], ["text"])),
    hostile(
      "nul-after-dot",
      "CRLF dot NUL CRLF, which ends the message for some servers",
      mail("nul dot", [], ["text", ".\0", "MAIL FROM:<forged@post.example>"]),
    ),
    refused(
      "utf-16-body",
      "UTF-16, which is full of NUL bytes",
      mail(
        "utf-16",
        ["Content-Type: text/plain; charset=utf-16le"],
        [Buffer.from("text", "utf16le").toString("latin1")],
      ),
    ),
    refused("bare-lf", "an LF without CR", mail("bare lf", [], ["one\ntwo"])),
    refused(
      "bare-lf-only",
      "LF line ends throughout, as many a script sends them",
      mail("unix", [], ["text"]).replaceAll("\r\n", "\n"),
    ),
    refused("bare-cr", "a CR without LF", mail("bare cr", [], ["one\rtwo"])),
    refused("bare-cr-at-line-end", "two CRs before the LF", mail("two cr", [], ["one\r", "two"])),
    hostile(
      "smuggling-lf-dot-lf",
      "LF dot LF and a second mail with a forged sender",
      mail(
        "outer",
        [],
        [
          "text\n.\nMAIL FROM:<forged@post.example>",
          "RCPT TO:<alice@shoal.example>",
          "DATA",
          "Subject: inner",
          "",
          "inner",
        ],
      ),
    ),
    hostile(
      "smuggling-lf-dot-crlf",
      "LF dot CRLF and a second mail",
      mail("outer", [], ["text\n.", "MAIL FROM:<forged@post.example>"]),
    ),
    hostile(
      "smuggling-crlf-dot-lf",
      "CRLF dot LF and a second mail",
      mail("outer", [], ["text", ".\nMAIL FROM:<forged@post.example>"]),
    ),
    hostile(
      "smuggling-crlf-dot-cr",
      "CRLF dot CR and a second mail",
      mail("outer", [], ["text", ".\rMAIL FROM:<forged@post.example>"]),
    ),
  ];
}
