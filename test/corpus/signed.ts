/** Mail with DKIM signatures, which must still verify where it is read. */

import { type CorpusMail, exact, mail, multipart, utf8 } from "#test/corpus/compose.ts";
import { corpusKeys, type DkimOptions, dkimSign } from "#test/corpus/dkim.ts";

const fields = ["from", "to", "subject", "date", "message-id"];

/** Names of signed mails start with this. */
export const signedPrefix = "dkim-";

export function signedMails(): CorpusMail[] {
  const { rsa, ed25519 } = corpusKeys();
  const relaxed = { header: "relaxed", body: "relaxed", fields } as const;
  const simple = { header: "simple", body: "simple", fields } as const;
  const odd = mail(
    "  odd   blanks  ",
    ["X-Folded: one", "\t two", "   three  ", "X-EMPTY:"],
    ["blanks at the end   ", "a\ttab  and   several blanks", ".", "..dots", "", "   ", "", ""],
  );
  const eightBit = mail(utf8("Grüße"), [], [utf8("Zwölf – 🐟"), "\xff\xfe"]);
  const nested = mail(
    "nested",
    ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="m"'],
    multipart("m", [{ type: "text/plain", body: ["text", "", ""] }]),
  );
  const many = [...fields, "x-folded", "x-empty", "mime-version", "content-type"];
  return [
    sign("rsa-relaxed", "rsa-sha256, relaxed/relaxed, as most of the world signs", nested, {
      key: rsa,
      ...relaxed,
      fields: many,
    }),
    sign("rsa-simple", "rsa-sha256, simple/simple: every byte counts", odd, { key: rsa, ...simple, fields: many }),
    sign("rsa-relaxed-odd", "relaxed over odd blanks and dots", odd, { key: rsa, ...relaxed, fields: many }),
    sign("ed25519-relaxed", "ed25519-sha256", nested, { key: ed25519, ...relaxed, fields: many }),
    sign("ed25519-simple-8-bit", "ed25519 over raw 8-bit header and body", eightBit, { key: ed25519, ...simple }),
    sign("body-empty", "simple canonical form of an empty body is one line end", mail("empty", [], []), {
      key: rsa,
      ...simple,
    }),
    sign("body-of-empty-lines", "empty lines at the end do not count", mail("lines", [], ["", "", ""]), {
      key: rsa,
      ...relaxed,
    }),
    sign("no-final-line-end", "the last line gets its end on the way", mail("no end", [], ["text"]).slice(0, -2), {
      key: rsa,
      ...simple,
    }),
    sign("oversigned", "names more fields than there are, so none may be added below", nested, {
      key: rsa,
      ...relaxed,
      fields: [...many, ...fields, "reply-to", "cc"],
    }),
    sign("signs-bcc", "the Bcc field is signed, so it may not go", mail("bcc", ["Bcc: carol@post.example"], ["text"]), {
      key: rsa,
      ...simple,
      fields: [...fields, "bcc"],
    }),
    twice("two-signatures", "RSA and Ed25519 on one mail", nested, [
      { key: rsa, ...relaxed },
      { key: ed25519, ...simple },
    ]),
  ];
}

function sign(name: string, why: string, text: string, options: DkimOptions): CorpusMail {
  return twice(name, why, text, [options]);
}

function twice(name: string, why: string, text: string, all: readonly DkimOptions[]): CorpusMail {
  const signed = all.reduce<Buffer>((message, options) => dkimSign(message, options), Buffer.from(text, "latin1"));
  return exact(`${signedPrefix}${name}`, why, signed);
}
