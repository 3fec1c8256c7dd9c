/** Mail that other machines and programs write: encrypted, automatic, from lists, with invitations. */

import {
  base64Lines,
  type CorpusMail,
  crlf,
  exact,
  mail,
  multipart,
  ordinaryHeader,
  utf8,
} from "#test/corpus/compose.ts";
import { seededBytes } from "#test/corpus/seeded.ts";

const mime = "MIME-Version: 1.0";

function armored(label: string, seed: string, bytes: number): string[] {
  return [`-----BEGIN ${label}-----`, "", ...base64Lines(seededBytes(seed, bytes)), `-----END ${label}-----`];
}

export function kindMails(): CorpusMail[] {
  return [...encrypted(), ...automatic(), ...fromPrograms()];
}

function encrypted(): CorpusMail[] {
  const ageFile = Buffer.concat([
    Buffer.from("age-encryption.org/v1\n-> X25519 "),
    Buffer.from(seededBytes("age share", 32).toString("base64").replace(/=+$/, "")),
    Buffer.from("\n"),
    Buffer.from(seededBytes("age body", 32).toString("base64").replace(/=+$/, "")),
    Buffer.from("\n--- "),
    Buffer.from(seededBytes("age mac", 32).toString("base64").replace(/=+$/, "")),
    Buffer.from("\n"),
    seededBytes("age payload", 300),
  ]);
  const age = [
    "-----BEGIN AGE ENCRYPTED FILE-----",
    ...(ageFile.toString("base64").match(/.{1,64}/g) ?? []),
    "-----END AGE ENCRYPTED FILE-----",
  ];
  return [
    exact(
      "pgp-mime-encrypted",
      "multipart/encrypted: no reason to leave it unsealed",
      mail(
        "...",
        [mime, 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="p"'],
        multipart("p", [
          { type: "application/pgp-encrypted", body: ["Version: 1"] },
          { type: "application/octet-stream", body: armored("PGP MESSAGE", "pgp", 2000) },
        ]),
      ),
    ),
    exact(
      "pgp-mime-signed",
      "multipart/signed: every blank counts",
      mail(
        "signed",
        [mime, 'Content-Type: multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary="s"'],
        multipart("s", [
          { type: "text/plain", body: ["signed text with a blank at the end ", "", "-- ", "Ada"] },
          { type: "application/pgp-signature", body: armored("PGP SIGNATURE", "pgp signature", 500) },
        ]),
      ),
    ),
    exact(
      "pgp-inline",
      "armour in the text, with dash escapes",
      mail(
        "inline",
        [],
        [
          "-----BEGIN PGP SIGNED MESSAGE-----",
          "Hash: SHA512",
          "",
          "- -----BEGIN x-----",
          "text",
          ...armored("PGP SIGNATURE", "inline", 400),
        ],
      ),
    ),
    exact(
      "smime-encrypted",
      "application/pkcs7-mime",
      mail(
        "smime",
        [
          mime,
          'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
          "Content-Transfer-Encoding: base64",
        ],
        base64Lines(Buffer.concat([Buffer.from("308006092a864886f70d010703", "hex"), seededBytes("smime", 1500)])),
      ),
    ),
    exact(
      "smime-signed",
      "multipart/signed with a PKCS #7 signature",
      mail(
        "smime signed",
        [
          mime,
          'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="----s"',
        ],
        multipart("----s", [
          { type: "text/plain", body: ["text"] },
          {
            type: 'application/pkcs7-signature; name="smime.p7s"',
            fields: ["Content-Transfer-Encoding: base64"],
            body: base64Lines(seededBytes("p7s", 1200)),
          },
        ]),
      ),
    ),
    exact("age-armored-body", "a body that is an armored age file already", mail("age", [], age)),
    exact("age-armor-is-the-message", "a message that is nothing but an armored age file", crlf(...age)),
    exact(
      "age-header-body",
      "a body that starts like a binary age file",
      mail("age header", [], ["age-encryption.org/v1", "-> X25519 AAAA", "--- BBBB"]),
    ),
  ];
}

function automatic(): CorpusMail[] {
  return [
    exact(
      "bounce",
      "a delivery status notification (multipart/report) with the returned mail",
      mail(
        "Undelivered Mail Returned to Sender",
        [
          "Auto-Submitted: auto-replied",
          mime,
          "Content-Type: multipart/report; report-type=delivery-status;",
          '\tboundary="r/1"',
        ],
        multipart("r/1", [
          { type: "text/plain", body: ["I'm sorry to have to inform you"] },
          {
            type: "message/delivery-status",
            body: [
              "Reporting-MTA: dns; mx.post.example",
              "",
              "Final-Recipient: rfc822; nobody@x.example",
              "Action: failed",
              "Status: 5.1.1",
            ],
          },
          {
            type: "message/rfc822",
            body: ["Return-Path: <alice@shoal.example>", "Delivered-To: nobody@x.example", "", "returned text"],
          },
        ]),
      ),
    ),
    exact(
      "read-receipt",
      "a disposition notification",
      mail(
        "Read: x",
        [mime, "Content-Type: multipart/report; report-type=disposition-notification; boundary=d"],
        multipart("d", [
          { type: "text/plain", body: ["it was displayed"] },
          {
            type: "message/disposition-notification",
            body: [
              "Final-Recipient: rfc822;ada@post.example",
              "Disposition: manual-action/MDN-sent-manually; displayed",
            ],
          },
        ]),
      ),
    ),
    exact(
      "vacation",
      "an automatic answer",
      mail(
        "Auto: away",
        ["Auto-Submitted: auto-replied", "Precedence: bulk", "X-Auto-Response-Suppress: All"],
        ["I am away."],
      ),
    ),
    exact(
      "dmarc-report",
      "an aggregate report as gzip attachment",
      mail(
        "Report Domain: shoal.example Submitter: post.example Report-ID: <1>",
        [
          mime,
          'Content-Type: application/gzip; name="post.example!shoal.example!1!2.xml.gz"',
          "Content-Transfer-Encoding: base64",
        ],
        base64Lines(Buffer.concat([Buffer.from("1f8b0800", "hex"), seededBytes("dmarc", 700)])),
      ),
    ),
    exact(
      "mailing-list",
      "a list's fields, a changed subject, a footer",
      mail(
        "[fish] shoals",
        [
          "Sender: fish-bounces@lists.post.example",
          "List-Id: On fish <fish.lists.post.example>",
          "List-Unsubscribe: <mailto:fish-leave@lists.post.example>,",
          "\t<https://lists.post.example/leave?x=1&y=2>",
          "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
          "List-Post: <mailto:fish@lists.post.example>",
          "X-BeenThere: fish@lists.post.example",
          "Precedence: list",
          "Errors-To: fish-bounces@lists.post.example",
          "ARC-Seal: i=1; a=rsa-sha256; d=post.example; s=arc; cv=none; b=AAAA",
        ],
        ["text", "_______________________________________________", "fish mailing list", "fish@lists.post.example"],
      ),
    ),
    exact(
      "mailing-list-digest",
      "a digest (multipart/digest), whose parts have no type",
      mail(
        "fish Digest, Vol 1, Issue 1",
        [mime, 'Content-Type: multipart/digest; boundary="d"'],
        [
          ...["one", "two", "three"].flatMap((name) => [
            "--d",
            "",
            `Subject: ${name}`,
            "From: x@post.example",
            "",
            name,
          ]),
          "--d--",
        ],
      ),
    ),
  ];
}

function fromPrograms(): CorpusMail[] {
  const calendar = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Example//EN",
    "METHOD:REQUEST",
    "BEGIN:VEVENT",
    "UID:1@post.example",
    "DTSTART:20261122T100000Z",
    utf8("SUMMARY:Über den Schwarm und eine lange Zeile, die nach 75 Bytes gefal"),
    " tet wird",
    "ATTENDEE;RSVP=TRUE:mailto:alice@shoal.example",
    "END:VEVENT",
    "END:VCALENDAR",
  ];
  return [
    exact(
      "calendar-invitation",
      "an invitation as part and as attachment",
      mail(
        "Invitation",
        [mime, 'Content-Type: multipart/mixed; boundary="c"'],
        multipart("c", [
          {
            type: "text/calendar; charset=utf-8; method=REQUEST",
            fields: ["Content-Transfer-Encoding: 8bit"],
            body: calendar,
          },
          {
            type: 'application/ics; name="invite.ics"',
            fields: ["Content-Transfer-Encoding: base64"],
            body: base64Lines(Buffer.from(crlf(...calendar), "latin1")),
          },
        ]),
      ),
    ),
    exact(
      "contact-card",
      "a vCard",
      mail(
        "card",
        [mime, "Content-Type: text/vcard; charset=utf-8"],
        ["BEGIN:VCARD", "VERSION:4.0", utf8("FN:Änne Öztürk"), "END:VCARD"],
      ),
    ),
    exact(
      "html-of-one-line",
      "a newsletter: 60 KB of HTML in one line",
      mail("News", [mime, "Content-Type: text/html; charset=utf-8"], [`<html>${"<td>x</td>".repeat(6000)}</html>`]),
    ),
    exact(
      "log-mail",
      "what cron sends: no Date, no Message-ID",
      crlf(
        "From: root (Cron Daemon)",
        "To: root",
        "Subject: Cron <root@host> run-parts",
        "Content-Type: text/plain; charset=ANSI_X3.4-1968",
        "X-Cron-Env: <SHELL=/bin/sh>",
        "",
        "/etc/cron.daily/x: failed",
      ),
    ),
    exact(
      "patch",
      "a patch: blanks at line ends, tabs, a line of two dashes and a blank",
      mail(
        "[PATCH] x",
        [],
        [
          "---",
          " x.c | 2 +-",
          "",
          "diff --git a/x.c b/x.c",
          "--- a/x.c",
          "+++ b/x.c",
          "@@ -1,3 +1,3 @@",
          " int x;",
          "-\treturn 0; ",
          "+\treturn 1;",
          " ",
          "-- ",
          "2.50.0",
        ],
      ),
    ),
    exact(
      "sub-address",
      "a recipient with a tag in the header",
      crlf(...ordinaryHeader("tag").map((field) => field.replace("<alice@", "<alice+news@")), "", "text"),
    ),
  ];
}
