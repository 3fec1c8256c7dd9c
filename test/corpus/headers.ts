/** Headers that are odd, broken or huge. */

import { type CorpusMail, crlf, exact, mail, ordinaryHeader } from "#test/corpus/compose.ts";

export function headerMails(): CorpusMail[] {
  const ordinary = ordinaryHeader("header");
  return [
    exact(
      "header-line-without-colon",
      "a line in the header that is no field",
      crlf(...ordinary, "what is this", "X-After: 1", "", "text"),
    ),
    exact(
      "header-first-line-no-field",
      "no header at all: the first line is text",
      crlf("Hello Alice,", "this mail has no header.", "", "Ada"),
    ),
    exact(
      "header-none-empty-line-first",
      "an empty line first, so the header is empty",
      crlf("", "Subject: not a field", "", "text"),
    ),
    exact("header-only", "header fields and the final empty line, no body", crlf(...ordinary, "")),
    exact("header-only-no-empty-line", "header fields and nothing after them", crlf(...ordinary)),
    exact(
      "header-blanks-before-colon",
      "blanks and tabs between name and colon",
      crlf("Subject : x", "From\t: ada@post.example", "To \t : alice@shoal.example", "", "text"),
    ),
    exact("header-blank-in-name", "a name of two words", crlf(...ordinary, "Bad Name: x", "X-After: 1", "", "text")),
    exact("header-empty-name", "a colon with no name", crlf(...ordinary, ": value", "X-After: 1", "", "text")),
    exact("header-empty-values", "fields without values", crlf("Subject:", "From: ", "To:\t", "Cc:", "", "text")),
    exact(
      "header-no-blank-after-colon",
      "no blank after the colon",
      crlf("Subject:x", "From:ada@post.example", "", "text"),
    ),
    exact(
      "header-odd-names",
      "every character that a name may have",
      crlf("!#$%&'*+-.^_`{|}~/()<>@,;\\\"[]?=: x", "0: zero", "", "text"),
    ),
    exact(
      "header-folded",
      "folds with blanks, tabs, several lines, and a fold before the value",
      crlf(
        "Subject:",
        " starts on the next line",
        "To: a@post.example,",
        "\tb@post.example,",
        "     c@post.example",
        "X-Tabs: \t x",
        "\t\t\ty",
        "",
        "text",
      ),
    ),
    exact(
      "header-folded-blank-lines",
      "continuations of blanks alone, which look like the end of the header",
      crlf("Subject: x", " ", "\t", "X-After: 1", "  \t ", "", "text"),
    ),
    exact(
      "header-continuation-first",
      "the first line is a continuation of nothing",
      crlf(" folded into what?", ...ordinary, "", "text"),
    ),
    exact(
      "header-continuation-first-tab",
      "the first line is a tab and text that looks like a field",
      crlf("\tReturn-Path: <x@post.example>", ...ordinary, "", "text"),
    ),
    exact(
      "header-duplicates",
      "fields that may stand once stand three times",
      crlf(...ordinary, ...ordinary, ...ordinary.map((field) => field.toUpperCase()), "", "text"),
    ),
    exact(
      "header-5000-fields",
      "5,000 fields",
      crlf(...ordinary, ...Array.from({ length: 5000 }, (_, i) => `X-Field-${i}: ${i}`), "", "text"),
    ),
    exact(
      "header-300-received",
      "300 Received fields: more hops than any loop",
      crlf(
        ...Array.from(
          { length: 300 },
          (_, i) => `Received: from h${i}.example by h${i + 1}.example; Sun, 22 Nov 2026 02:00:00 +0000`,
        ),
        ...ordinary,
        "",
        "text",
      ),
    ),
    exact(
      "header-line-998",
      "a field line of 998 characters, the most that RFC 5322 allows",
      crlf(...ordinary, `X-Long: ${"x".repeat(990)}`, "", "text"),
    ),
    exact(
      "header-line-20000",
      "a field line of 20,000 characters",
      crlf(...ordinary, `X-Long: ${"x".repeat(19_992)}`, "", "text"),
    ),
    exact(
      "header-folded-200-kilobytes",
      "one field of 200 KB over 3,000 lines",
      crlf(
        ...ordinary,
        "References:",
        ...Array.from({ length: 3000 }, (_, i) => ` <${String(i).padStart(50, "0")}@post.example>`),
        "",
        "text",
      ),
    ),
    exact(
      "header-1000-recipients",
      "a To field with 1,000 addresses, groups, comments and quotes",
      crlf(
        ...ordinaryHeader("many").filter((field) => !field.startsWith("To:")),
        'To: undisclosed: ;, (comment (nested)) "quo\\"ted, name" <q@post.example>,',
        ...Array.from({ length: 1000 }, (_, i) => ` person ${i} <p${i}@post.example>,`),
        "\tlast@post.example",
        "",
        "text",
      ),
    ),
    exact(
      "header-unqualified-addresses",
      "addresses without a domain, which must not get ours",
      crlf("From: root", "To: alice, bob", "Cc: <carol>", "Subject: unqualified", "", "text"),
    ),
    exact(
      "header-dates",
      "dates that are none",
      crlf("Date: yesterday", "Date: Sun, 31 Feb 99999 25:61:61 +9999", "Subject: dates", "", "text"),
    ),
    exact(
      "header-message-id-broken",
      "message ids that are none",
      crlf("Message-ID: <no at>", "Message-ID: two <a@b> <c@d>", "In-Reply-To: <", "Subject: ids", "", "text"),
    ),
    exact(
      "bcc",
      "a Bcc field, folded: what arrives is the sender's doing",
      crlf(...ordinary, "Bcc: secret@post.example,", "\tother@post.example", "X-After: 1", "", "text"),
    ),
    exact(
      "resent",
      "a resent mail: two sets of fields",
      crlf(
        "Resent-From: bob@post.example",
        "Resent-To: alice@shoal.example",
        "Resent-Bcc: carol@post.example",
        "Resent-Date: Sun, 22 Nov 2026 03:00:00 +0000",
        ...ordinary,
        "",
        "text",
      ),
    ),
    exact(
      "content-length",
      "a Content-Length that lies",
      mail("length", ["Content-Length: 3", "Lines: 1"], ["this is longer than three bytes"]),
    ),
    exact(
      "status-fields",
      "fields by which mail programs keep state in a mailbox",
      mail("status", ["Status: RO", "X-Status: A", "X-Keywords: $Junk", "X-UID: 7", "X-IMAP: 1 2"], ["text"]),
    ),
    exact(
      "mbox-line-first",
      "an mbox separator as the first line, then a field of ours",
      crlf(
        "From ada@post.example Sun Nov 22 02:00:00 2026",
        "Return-Path: <forged@post.example>",
        ...ordinary,
        "",
        "text",
      ),
    ),
    exact(
      "outside-return-path",
      "a Return-Path of the sender's",
      crlf("Return-Path: <forged@post.example>", ...ordinary, "", "text"),
    ),
    exact(
      "outside-delivered-to",
      "Delivered-To in another case, folded, and twice",
      crlf(...ordinary, "DELIVERED-TO:", "\tforged@shoal.example", "delivered-to : again@shoal.example", "", "text"),
    ),
    exact(
      "outside-shoal-fields",
      "fields that pretend to be our own block, in front of everything",
      crlf("Shoal-Length: 20", "Shoal-Anything: x", "shoal-: y", "Shoalish: not ours", ...ordinary, "", "text"),
    ),
    exact(
      "outside-whole-block",
      "a copy of our whole block, Received line and all",
      crlf(
        "Shoal-Length: 300",
        "Return-Path: <ada@post.example>",
        "Delivered-To: alice@shoal.example",
        "Received: from x (x [192.0.2.1])",
        "\tby in.mail.shoal.example with ESMTPS;",
        "\tSun, 22 Nov 2026 02:00:00 +0000",
        ...ordinary,
        "",
        "text",
      ),
    ),
    exact(
      "outside-after-byte-order-mark",
      "a Return-Path behind a byte order mark",
      `\xef\xbb\xbf${crlf("Return-Path: <forged@post.example>", ...ordinary, "", "text")}`,
    ),
    exact(
      "outside-after-broken-line",
      "a Return-Path behind a line that ends the header",
      crlf(...ordinary, "no field", "Return-Path: <body@post.example>", "", "text"),
    ),
    exact(
      "outside-in-body",
      "our field names in the body",
      mail("body", [], ["Return-Path: <body@post.example>", "Shoal-Length: 1", "", "Delivered-To: x"]),
    ),
    exact(
      "outside-already-renamed",
      "a mail that came through such a system before",
      mail("again", ["X-Outside-Return-Path: <x@post.example>", "X-Outside-Shoal-Length: 5"], ["text"]),
    ),
    exact(
      "spam-fields",
      "verdicts that the sender wrote for us",
      mail(
        "verdicts",
        ["X-Spam: Yes", "X-Spam-Status: No, score=-100", "Authentication-Results: in.mail.shoal.example; dkim=pass"],
        ["text"],
      ),
    ),
  ];
}
