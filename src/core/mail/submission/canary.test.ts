/** A distinct mark in every place of a message that anyone thought of: only those that a recipient must see survive. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { parseMime } from "#core/mail/mime.ts";
import { decodeTransfer } from "#core/mail/transfer-encoding.ts";
import { ALICE, countingRandom } from "#test/hostile-submissions/hostile-submissions.ts";
import { prepareSubmission } from "./prepare.ts";

/** Fields that programs and servers write, and that no recipient needs. */
const BETRAYING_FIELDS = `
Received Return-Path Delivered-To X-Original-To X-Originating-IP X-Originating-Email X-Forwarded-For X-Forwarded-To
X-Client-IP X-Sender-IP X-Sender X-Sender-Id X-Real-IP X-Remote-Addr X-SSH-Client X-Authenticated-Sender
X-Authentication-Warning X-Envelope-From X-Envelope-To Envelope-To X-RCPT-TO X-MAIL-FROM User-Agent X-Mailer X-Newsreader
X-MimeOLE X-MSMail-Priority X-MS-Exchange-Organization-AuthSource X-MS-Has-Attach X-MS-TNEF-Correlator
X-OriginatorOrg X-Exchange-Antispam-Report Thread-Index Thread-Topic Accept-Language Content-Language Content-Base
Content-Features Content-MD5 Content-Class X-Apple-Base-Url X-Apple-Mail-Remote-Attachments X-Apple-Content-Length
X-Universally-Unique-Identifier X-Uniform-Type-Identifier X-Mozilla-Status X-Mozilla-Draft-Info X-Mozilla-Keys
X-Identity-Key X-Account-Key X-Enigmail-Version X-K9mail-Identity X-Mutt-Fcc X-Mutt-PGP X-Operating-System X-Uptime
X-Gnus-Mail-Source X-Face Face X-URL X-Homepage Organization Organisation X-Organization Mail-Followup-To
Mail-Reply-To Return-Receipt-To X-Confirm-Reading-To Errors-To Reply-By Expires Supersedes Obsoletes Lines Status
X-Status X-UID X-UIDL X-Keywords Fcc X-Fcc Content-Length X-Gm-Message-State X-Google-Smtp-Source X-Google-Sender-Auth
X-Google-Original-From X-Google-DKIM-Signature X-Received DKIM-Signature DomainKey-Signature ARC-Seal
ARC-Message-Signature ARC-Authentication-Results Authentication-Results Received-SPF X-Spam X-Spam-Status
X-Virus-Scanned X-Source X-Source-Args X-Source-Dir X-PHP-Originating-Script X-PHP-Script X-Cron-Env X-Originator
X-Abuse-Info X-AntiAbuse X-Get-Message-Sender-Via X-Complaints-To NNTP-Posting-Host Path Xref Newsgroups
Shoal-Length X-Shoal-Account X-Outside-Return-Path Author Originator Resent-Date Resent-Message-ID Jabber-ID OpenPGP
X-PGP-Key X-Location X-Timezone X-Locale X-Device X-Phone X-Hostname X-Unknown-To-Everybody Sender-IP Geolocation
Original-Recipient Original-From Apparently-To Priority-Hint X-Evolution-Identity X-KMail-Fcc X-Bogosity Date-Warning
List-Software Solicitation Received-Date Delivery-Date Injection-Info TLS-Report-Domain Eesst-Version Autoforwarded
Message-Type Discarded-X400-IPMS-Extensions X400-Originator Delivered-By-The-Graces-Of Disposition-Notification-Options
`
  .trim()
  .split(/\s+/);

const hidden: string[] = [];
const visible: string[] = [];

/** A new mark that must not be seen. */
function hide(): string {
  return mark(hidden, "hidden");
}

/** A new mark that must be seen. */
function show(): string {
  return mark(visible, "visible");
}

function mark(marks: string[], kind: string): string {
  const text = `canary${kind}${marks.length}x`;
  marks.push(text);
  return text;
}

function encoded(text: string): string {
  return `=?utf-8?b?${Buffer.from(text).toString("base64")}?=`;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function markedMessage(): Buffer {
  const betraying = BETRAYING_FIELDS.map((name, index) => {
    return index % 3 === 0 ? `${name}: ${encoded(hide())}\n and ${hide()}` : `${name}: ${hide()}\n\t(${hide()})`;
  });
  const image = `${hide()}@${hide()}.fritz.box`;
  const outer = `Apple-Mail=_${hide()}`;
  const inner = `----=_NextPart_${hide()}`;
  const signed = `------------ms${hide()}`;
  const lines = [
    ...betraying.slice(0, 60),
    `From: "${show()}" <alice@example.org> (${show()})`,
    `Sender: ${encoded(show())} <alice@example.org>`,
    `Reply-To: ${show()} <alice+${show()}@example.org>`,
    `To: ${show()} <${show()}@example.net> (${show()}), ${show()}: ${show()}@example.net;`,
    `Cc: =?utf-8?q?${show()}?= <${show()}@example.net>`,
    `Bcc: ${hide()} <${hide()}@example.com>, ${hide()}: ${hide()}@example.com (${hide()});`,
    "Resent-From: alice@example.org",
    `Resent-To: ${hide()} <${hide()}@example.com>`,
    `Resent-Cc: ${hide()}@example.com`,
    `Resent-Bcc: ${hide()}@example.com`,
    `Subject: ${show()} ${encoded(show())}`,
    `Date: Fri, 15 Jan 2027 13:47:00 +0545 (${hide()})`,
    `Message-ID: (${hide()}) <${hide()}@${hide()}.fritz.box> (${hide()})`,
    `In-Reply-To: <${show()}@${show()}.example> (${hide()})`,
    `References: <${show()}@example.net> (${hide()}) <${hide()}@example.org> <${hide()}@${hide()}.lan>`,
    `Comments: ${show()}`,
    `Keywords: ${show()}`,
    `List-Id: ${show()}`,
    `List-Unsubscribe: <https://example.org/${show()}>`,
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    `Disposition-Notification-To: ${show()} <alice@example.org>`,
    `Importance: (${hide()}) High (${hide()})`,
    `X-Priority: 1 (${hide()})`,
    `Sensitivity: Private (${hide()})`,
    `Auto-Submitted: no (${hide()})`,
    `Precedence: list (${hide()})`,
    `Autocrypt: addr=alice@example.org; _secret=${hide()}; keydata=${base64(hide())}`,
    `MIME-Version: (${hide()}) 1.0 (${hide()})`,
    `Content-Type: multipart/mixed (${hide()}); x-a=${hide()}; boundary="${outer}"; ${hide()}=1; y*0*=utf-8''${hide()}`,
    `Content-Transfer-Encoding: 7bit (${hide()})`,
    `Content-Description: ${show()}`,
    ...betraying.slice(60),
    "",
    `This is ${hide()}`,
    `--${outer}`,
    `Content-Type: multipart/related; boundary="${inner}"; start="<${image}>"; type="text/html"; z=${hide()}`,
    `X-Part: ${hide()}`,
    "",
    hide(),
    `--${inner}`,
    `Content-Type: text/html; charset=utf-8 (${hide()}); x-unix-mode=${hide()}`,
    `Content-Location: file:///home/${hide()}/x.html`,
    `Content-Language: ${hide()}`,
    "Content-Transfer-Encoding: base64",
    "",
    base64(`<p>${show()}</p><img src="cid:${image}"><img src='cid:${image.replace("@", "%40")}'>`),
    `--${inner}`,
    `Content-Type: image/png; name="${show()}.png"; x-mac-creator=${hide()}; x-apple-part-url=${hide()}`,
    `Content-Disposition: inline (${hide()}); filename="${show()} ${show()}.png"; size=${hide()};`,
    ` creation-date="${hide()}"; modification-date="${hide()}"; read-date="${hide()}"; filename*0*=utf-8''${show()}`,
    `Content-ID: (${hide()}) <${image}> (${hide()})`,
    `X-Attachment-Id: ${hide()}`,
    `Received: from ${hide()}`,
    "Content-Transfer-Encoding: base64",
    "",
    base64(show()),
    `--${inner}--`,
    `epilogue ${hide()}`,
    `--${outer}`,
    "Content-Type: message/disposition-notification",
    "",
    `Reporting-UA: ${hide()}; ${hide()}`,
    `\t${hide()}`,
    "Final-Recipient: rfc822;alice@example.org",
    `Original-Message-ID: <${show()}@example.net>`,
    `MDN-Gateway: dns; ${hide()}`,
    "",
    `--${outer}`,
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    `${show()} and [cid:${image}] =`,
    show(),
    `--${outer}`,
    `Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha256; boundary="${signed}"; x=${hide()}`,
    "",
    `signed by ${hide()}`,
    `--${signed}`,
    `Content-Type: text/plain; x-kept=${show()}`,
    `X-Kept: ${show()}`,
    "",
    show(),
    `--${signed}`,
    `Content-Type: application/pgp-signature; name="${show()}.asc"; x=${hide()}`,
    `X-Signer: ${hide()}`,
    "",
    `-----BEGIN PGP SIGNATURE-----\n\n${show()}\n-----END PGP SIGNATURE-----`,
    `--${signed}--`,
    hide(),
    `--${outer}--`,
    `the end ${hide()}`,
  ];
  return Buffer.from(`${lines.join("\n")}\n`);
}

/** Everything that can be read out of a message, however it is encoded. */
function everythingIn(message: Buffer): string {
  const { fields, parts } = parseMime(message);
  const texts = [message.toString("latin1"), message.toString("latin1").replace(/\r\n[ \t]?/g, "")];
  for (const { value } of fields) texts.push(decodeEncodedWords(value));
  for (const { body, encoding, fileName } of parts)
    texts.push(decodeTransfer(body, encoding).toString(), fileName ?? "");
  for (const [word] of message.toString("latin1").matchAll(/[A-Za-z0-9+/]{12,}/g)) {
    for (const start of [0, 1, 2, 3]) texts.push(Buffer.from(word.slice(start), "base64").toString("latin1"));
  }
  return texts.join("\n");
}

test("of marks in every place, only those for the recipient survive", () => {
  const marked = markedMessage();
  assert.ok(hidden.length > 350, `${hidden.length} hidden marks`);
  const options = { ...ALICE, random: countingRandom(), envelopeFrom: null, recipients: ["bob@example.net"] };
  const { message, warnings } = prepareSubmission(marked, options);
  const before = everythingIn(marked);
  for (const text of [...hidden, ...visible]) assert.ok(before.includes(text), text);
  const after = everythingIn(message);
  assert.deepEqual(
    hidden.filter((text) => after.includes(text)),
    [],
  );
  assert.deepEqual(
    visible.filter((text) => !after.includes(text)),
    [],
  );
  assert.doesNotMatch(after, /canaryhidden|Apple-Mail|NextPart|fritz|[+]0545|13:47/);
  const told = new Set(warnings.map(({ what }) => what));
  for (const name of ["Received", "User-Agent", "Content-Type: x-unix-mode"]) assert.ok(told.has(name), name);
});
