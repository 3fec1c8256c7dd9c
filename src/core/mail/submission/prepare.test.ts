import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError, PolicyError } from "#core/errors.ts";
import { fieldOf } from "#core/mail/message-fields.ts";
import { parseMime } from "#core/mail/mime.ts";
import { decodeTransfer } from "#core/mail/transfer-encoding.ts";
import { ALICE, countingRandom } from "#test/hostile-submissions/hostile-submissions.ts";
import { firstEightBit } from "./lines.ts";
import { type PreparedSubmission, prepareSubmission, type SubmissionOptions } from "./prepare.ts";

function prepare(message: Buffer | string, options: Partial<SubmissionOptions> = {}): PreparedSubmission {
  const bytes = typeof message === "string" ? Buffer.from(message) : message;
  return prepareSubmission(bytes, {
    ...ALICE,
    random: countingRandom(),
    envelopeFrom: null,
    recipients: null,
    ...options,
  });
}

function refusal(message: Buffer | string, options: Partial<SubmissionOptions> = {}): string {
  try {
    prepare(message, options);
  } catch (error) {
    if (error instanceof FormatError || error instanceof PolicyError) return error.code;
    throw error;
  }
  return "accepted";
}

const SIMPLE = "From: alice@example.org\nTo: bob@example.net\nSubject: hi\n\nhello\n";

test("a plain message, byte for byte", () => {
  const { message, ...rest } = prepare(`X-Mailer: x\nBcc: carol@example.com\n${SIMPLE}`);
  assert.equal(
    message.toString(),
    [
      "Date: Fri, 15 Jan 2027 08:00:00 +0000",
      "From: alice@example.org",
      "To: bob@example.net",
      `Message-ID: ${rest.messageId}`,
      "Subject: hi",
      "",
      "hello",
      "",
    ].join("\r\n"),
  );
  assert.match(rest.messageId, /^<[0-9a-f]{32}@example\.org>$/);
  assert.deepEqual(
    { ...rest, messageId: "" },
    {
      envelopeFrom: "alice@example.org",
      recipients: ["bob@example.net", "carol@example.com"],
      messageId: "",
      warnings: [
        { kind: "added", what: "Message-ID", count: 1 },
        { kind: "dropped", what: "X-Mailer", count: 1 },
        { kind: "added", what: "Date", count: 1 },
      ],
    },
  );
});

test("signed parts keep every byte, wherever they stand, and whatever is in them", () => {
  const signed = [
    "Content-Type: multipart/mixed; boundary=in; protected-headers=v1",
    "X-Mailer: stays",
    "Received: stays",
    "",
    "--in",
    "content-TYPE:text/plain;charset=UTF-8  ",
    "",
    "cid:one@two trailing   ",
    "--in",
    "",
    "--in--",
    "",
    "--outer-not",
  ].join("\r\n");
  const own = `Content-Type: multipart/signed; boundary="outer"; protocol="application/pgp-signature"; micalg=pgp-sha256`;
  const multipart = `\r\n\r\npreamble\r\n--outer\r\n${signed}\r\n--outer\r\nContent-Type: application/pgp-signature\r\n\r\nSIG\r\n--outer--\r\n`;
  const head = "From: alice@example.org\r\nTo: bob@example.net\r\nMIME-Version: 1.0\r\n";
  for (const message of [
    `${head}${own}${multipart}`,
    `${head}Content-Type: multipart/mixed; boundary=list\r\n\r\n--list\r\n${own}${multipart}--list\r\nContent-ID: <one@two>\r\n\r\nfooter\r\n--list--\r\n`,
  ]) {
    for (const text of [message, message.replaceAll("\r\n", "\n")]) {
      const out = prepare(text).message.toString();
      const boundary = /boundary=([0-9a-f]{32});\s+protocol/.exec(out)?.[1];
      assert.ok(boundary !== undefined);
      assert.ok(
        out.includes(
          `\r\n--${boundary}\r\n${signed}\r\n--${boundary}\r\nContent-Type: application/pgp-signature\r\n\r\nSIG\r\n--${boundary}--`,
        ),
      );
      assert.ok(!out.includes("preamble"));
      // What a signed part shows can't be renamed.
      if (text.includes("Content-ID")) assert.ok(out.includes("Content-ID: <one@two>"));
    }
  }
});

test("Content-IDs are renamed where they are declared and where they are shown, in every encoding", () => {
  const html = `<img src="cid:a.1@host.lan"><img src='CID:a.1%40host.lan'>url(cid:a.1@host.lan) cid:a.1@host.land &é\n<p>`;
  const quotedPrintable = html.replaceAll("=", "=3D").replace("é", "=C3=A9").replace("host", "ho=\nst");
  const encodings: [string, string][] = [
    ["8bit", html],
    ["base64", Buffer.from(html).toString("base64")],
    ["quoted-printable", quotedPrintable],
  ];
  for (const [encoding, text] of encodings) {
    const { message } = prepare(
      `From: alice@example.org\nTo: bob@example.net\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: ${encoding}\n\n${text}\n--b\nContent-Type: image/png\nContent-ID: <a.1@host.lan>\n\nx\n--b--\n`,
    );
    const { parts } = parseMime(message);
    const id = /Content-ID: <([0-9a-f]{32}@example\.org)>/.exec(message.toString())?.[1] ?? "";
    const [shown] = parts;
    assert.ok(shown !== undefined && id !== "");
    const decoded = decodeTransfer(shown.body, encoding === "base64" ? encoding : "quoted-printable");
    assert.equal(shown.body.includes("=0A"), false, encoding);
    assert.equal(
      decoded.toString().replaceAll("\r\n", "\n"),
      `<img src="cid:${id}"><img src='CID:${id}'>url(cid:${id}) cid:a.1@host.land &é\n<p>`,
      encoding,
    );
  }
});

test("8-bit text leaves in 7 bits, and is the same text", () => {
  const head = "From: alice@example.org\nTo: bob@example.net\nMIME-Version: 1.0\n";
  const texts: [string, string, string][] = [
    ["8bit", `Grüße und mehr${" ".repeat(3)}\n.\n..\nFrom here\n${"x".repeat(990)}é\n=3D\t\n\n`, "quoted-printable"],
    ["binary", "caf\u00e9 on a line by itself\n", "quoted-printable"],
    ["8bit", "Все люди рождаются свободными\nи равными\n", "base64"],
    ["8bit", "\u00e9", "base64"],
    ["8bit", "nothing above 127\n", "7bit"],
  ];
  for (const [given, text, expected] of texts) {
    const type = `Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: ${given}\n\n${text}`;
    for (const whole of [head + type, `${head}Content-Type: multipart/mixed; boundary=b\n\n--b\n${type}\n--b--\n`]) {
      const { message } = prepare(whole);
      assert.equal(firstEightBit(message, 0, message.length), -1, text);
      const { body, encoding } = parseMime(message).parts[0] ?? assert.fail("no part");
      assert.equal(encoding || "7bit", expected);
      const decoded = decodeTransfer(body, expected).toString();
      const isLast = !whole.includes("--b");
      const wanted = text.replaceAll("\n", "\r\n");
      // A message ends with a line end, whatever was handed in.
      assert.equal(decoded, isLast && !wanted.endsWith("\r\n") ? `${wanted}\r\n` : wanted);
      assert.equal(prepare(message).message.includes("8bit"), false);
    }
  }
});

test("what must not be touched stays 8-bit, and what is around it says so", () => {
  const head = "From: alice@example.org\nTo: bob@example.net\nMIME-Version: 1.0\n";
  const inside = "From: mallory@example.com\nContent-Transfer-Encoding: 8bit\n\nGrüße";
  const forwarded = `Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n${inside}`;
  const signed = `Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße`;
  const own = `Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nMit freundlichen Grüßen`;
  const multiparts = [
    ["mixed", [own, forwarded]],
    ["signed", [signed, "Content-Type: application/pgp-signature\n\nx"]],
  ] as const;
  for (const [kind, parts] of multiparts) {
    const lines = parts.map((part) => `--b\n${part}\n`).join("");
    const text = prepare(`${head}Content-Type: multipart/${kind}; boundary=b\n\n${lines}--b--\n`).message.toString();
    assert.match(text, /^Content-Transfer-Encoding: 8bit\r\n\r\n--/m, "of the multipart");
    assert.ok(text.includes((kind === "mixed" ? inside : signed).replaceAll("\n", "\r\n")));
    assert.equal(text.includes("Mit freundlichen Gr=C3=BC=C3=9Fen"), kind === "mixed");
  }
});

test("a new Content-ID never makes a line too long", () => {
  const line = `<img src="cid:a@b">${"x".repeat(979)}`;
  const { message } = prepare(
    `From: alice@example.org\nTo: bob@example.net\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n${line}\n--b\nContent-ID: <a@b>\n\nx\n--b--\n`,
  );
  assert.ok(
    message
      .toString()
      .split("\r\n")
      .every((text) => text.length <= 998),
  );
  assert.match(message.toString(), /Content-Transfer-Encoding: quoted-printable/);
});

test("threads hold: one's own identifiers are always renamed alike, those of others stay, another key renames otherwise", () => {
  const first = prepare(`Message-ID: <1.2-alice@example.org>\n${SIMPLE}`);
  const again = prepare(`Message-ID: <1.2-alice@example.org>\n${SIMPLE}`);
  assert.equal(again.messageId, first.messageId);
  const answer = prepare(
    `Message-ID: <x@laptop.example.com>\nReferences: <1.2-alice@example.org> <y@laptop.example.com>\n <z@other.example>\nIn-Reply-To: <1.2-alice@example.org>\n${SIMPLE}`,
  );
  const { fields } = parseMime(answer.message);
  assert.equal(fieldOf(fields, "in-reply-to"), first.messageId);
  const second = prepare(`Message-ID: <y@laptop.example.com>\n${SIMPLE}`);
  assert.equal(fieldOf(fields, "references"), `${first.messageId} ${second.messageId} <z@other.example>`);
  assert.notEqual(
    prepare(`Message-ID: <1.2-alice@example.org>\n${SIMPLE}`, { threadKey: Buffer.alloc(32, 8) }).messageId,
    first.messageId,
  );
  const bob = { ...ALICE.account, name: "bob" };
  const bobs = prepare(`Message-ID: <1.2-alice@example.org>\n${SIMPLE.replace("alice", "bob")}`, { account: bob });
  assert.notEqual(bobs.messageId, first.messageId);
  const neutral = "<0123456789abcdef0123456789abcdef@example.org>";
  assert.equal(prepare(`Message-ID: ${neutral}\n${SIMPLE}`).messageId, neutral);
});

test("recipients: of the command alone, of the header, of a message sent again; each once", () => {
  const header =
    "Cc: Carol <carol@example.com>, BOB@example.net, bob@EXAMPLE.NET, Dave@example.org, dave@example.org\nBcc: g: erin@example.com;\n";
  assert.deepEqual(prepare(`${header}${SIMPLE}`).recipients, [
    ...["bob@example.net", "carol@example.com", "BOB@example.net", "Dave@example.org", "erin@example.com"],
  ]);
  assert.deepEqual(prepare(`${header}${SIMPLE}`, { recipients: ["x@example.net"] }).recipients, ["x@example.net"]);
  const again = prepare(
    `Resent-From: alice@example.org\nResent-To: y@example.net\nResent-Bcc: z@example.net\n${header}${SIMPLE}`,
  );
  assert.deepEqual(again.recipients, ["y@example.net", "z@example.net"]);
});

test("aliases are another face of the same account, and never together with it", () => {
  const alias = SIMPLE.replace("alice", "k3j2");
  assert.equal(prepare(alias).envelopeFrom, "k3j2@example.org");
  assert.equal(prepare(alias, { envelopeFrom: "k3j2+x@example.org" }).envelopeFrom, "k3j2+x@example.org");
  assert.equal(refusal(alias, { envelopeFrom: "alice@example.org" }), "ALIAS-LEAK");
  assert.equal(refusal(alias, { account: { ...ALICE.account, aliases: new Set() } }), "FORGED");
  const autocrypt = "Autocrypt: addr=k3j2@example.org; keydata=QUxJQ0U=\n";
  assert.ok(!prepare(`${autocrypt}${alias}`).message.includes("QUxJQ0U"), "a key names its owner");
  assert.ok(
    prepare(`${autocrypt.replace("k3j2", "alice")}${SIMPLE}`).message.includes(
      "Autocrypt: addr=alice@example.org; keydata=",
    ),
  );
});

test("names of fields that mean something to JavaScript mean nothing", () => {
  const { warnings } = prepare(`constructor: x\n__proto__: y\ntoString: z\n${SIMPLE}`);
  assert.deepEqual(
    warnings.filter(({ kind }) => kind === "dropped").map(({ what }) => what),
    ["constructor", "__proto__", "toString"],
  );
});

test("names of files lose the folders around them", () => {
  const type = 'Content-Type: text/plain; name="C:\\\\Users\\\\alice\\\\a b.txt"\n';
  const message = `MIME-Version: 1.0\n${type}Content-Disposition: attachment; filename="/srv/alice/a b.txt"\n${SIMPLE}`;
  const { message: out, warnings } = prepare(message);
  assert.match(out.toString(), /name="a b\.txt"[^]*filename="a b\.txt"/);
  assert.doesNotMatch(out.toString(), /Users|home/);
  assert.equal(warnings.filter(({ kind, what }) => kind === "rewritten" && what.includes("name")).length, 2);
});

test("in whatever form the names of files are written, no folder leaves", () => {
  const word = (text: string): string => `=?utf-8?b?${Buffer.from(text).toString("base64")}?=`;
  const long = "%C3%BC".repeat(60);
  for (const [written, printed] of [
    ['filename="C:\\Users\\folder\\x.txt"', "filename=x.txt"],
    ["filename*=utf-8''%2Fhome%2Ffolder%2F%C3%BC.txt", "filename*=utf-8''%C3%BC.txt"],
    ["filename*=utf-8''C%3A%5CUsers%5cfolder%5cx.txt", "filename*=utf-8''x.txt"],
    ['filename*0="/srv/fol"; filename*1="der/x.txt"', "filename*=utf-8''x.txt"],
    ["filename*0*=utf-8''%2Fhome%2Ffol; filename*1*=der%2Fx.txt", "filename*=utf-8''x.txt"],
    [
      `filename*0*=utf-8''folder%2F${long}; filename*1*=.txt`,
      `filename*0*=utf-8''${"%C3%BC".repeat(50)}; filename*1*=${"%C3%BC".repeat(10)}.txt`,
    ],
    [`filename="${word("/srv/folder/ü.txt")}"`, `filename="${word("ü.txt")}"`],
    [`filename="/srv/folder/${word("ü.txt")}"`, `filename="${word("ü.txt")}"`],
    ['filename="/srv/folder/"', undefined],
    // Nothing to take away: nothing changes.
    ["filename*0*=utf-8''a; filename*1=b.txt", "filename*0*=utf-8''a; filename*1=b.txt"],
  ] as const) {
    const { message } = prepare(`MIME-Version: 1.0\nContent-Disposition: attachment; ${written}\n${SIMPLE}`);
    const field = /^Content-Disposition: (.*(?:\r\n[ \t].*)*)/m.exec(message.toString())?.[1]?.replace(/\r\n/g, "");
    assert.equal(field, printed === undefined ? "attachment" : `attachment; ${printed}`, written);
  }
  const location = `MIME-Version: 1.0\nContent-Type: text/html\nContent-Location: %2Fhome%2Ffolder%2Fx.html\n${SIMPLE}`;
  assert.ok(!prepare(location).message.includes("folder"));
});

test("of a receipt only what it is made for leaves", () => {
  const receipt = [
    "Reporting-UA : laptop.lan; Program",
    "X-Mailer: Program",
    "\tand more of it",
    "Final-Recipient: rfc822;alice@example.org",
    "Disposition: manual-action/MDN-sent-manually;",
    " displayed",
    "Program-Says: hello",
  ].join("\n");
  const { message, warnings } = prepare(
    `MIME-Version: 1.0\nContent-Type: message/disposition-notification\n${SIMPLE.replace("hello", receipt)}`,
  );
  assert.match(
    message.toString(),
    /\r\n\r\nFinal-Recipient: rfc822;alice@example\.org\r\nDisposition: manual-action\/MDN-sent-manually;\r\n displayed\r\n$/,
  );
  assert.deepEqual(
    warnings.filter(({ kind }) => kind === "dropped").map(({ what }) => what),
    ["Reporting-UA", "X-Mailer", "Program-Says"],
  );
});

test("an inline signature keeps every byte where a part has the identifier that it shows", () => {
  const signed =
    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nsee cid:pic@x.example\n-----BEGIN PGP SIGNATURE-----\n";
  const parts = `--b\nContent-Type: text/plain\n\n${signed}--b\nContent-ID: <pic@x.example>\n\nx\n--b--\n`;
  const related =
    'multipart/related; boundary=b; start="<nobody@laptop.lan>"; boundary*=utf-8\'\'c; type*0="text/";type*1=plain';
  const { message, warnings } = prepare(
    `MIME-Version: 1.0\nContent-Type: ${related}\nFrom: alice@example.org\nTo: bob@example.net\n\n${parts}`,
  );
  assert.ok(message.includes(signed.replaceAll("\n", "\r\n")));
  assert.ok(warnings.some(({ kind, what }) => kind === "left" && what === "Content-ID pic@x.example"));
  // Nobody has this identifier, and programs must agree where parts begin.
  assert.doesNotMatch(message.toString(), /laptop|start=|\*/);
});

test("what stands inside and tells more is named", () => {
  for (const type of ["message/delivery-status", "message/global", "text/rfc822-headers"]) {
    const { warnings } = prepare(`MIME-Version: 1.0\nContent-Type: ${type}\n${SIMPLE}`);
    assert.ok(
      warnings.some(({ kind, what }) => kind === "left" && what === type),
      type,
    );
  }
});

test("names that show one's own address, or no address, are nobody else's", () => {
  const word = (text: string): string => `=?utf-8?b?${Buffer.from(text).toString("base64")}?=`;
  for (const name of [
    "'alice@example.org'",
    "“alice@example.org”",
    "山田　alice@example.org、",
    "alice＠example.org",
    "Zoë @ home",
  ]) {
    assert.equal(
      refusal(SIMPLE.replace("alice@", `${word(name)} <alice@`).replace(".org\n", ".org>\n")),
      "accepted",
      name,
    );
  }
});

test("a key that is too short is a mistake of the program", () => {
  assert.throws(() => prepare(SIMPLE, { threadKey: Buffer.alloc(31) }), RangeError);
});

test("limits", () => {
  assert.equal(refusal(SIMPLE, { limits: { bytes: 60 } }), "TOO-LARGE");
  const big = `${SIMPLE}${"x\n".repeat(1000)}`;
  assert.equal(refusal(big, { limits: { bytes: big.length } }), "TOO-LARGE", "counted with CRLF");
  assert.equal(refusal(SIMPLE, { limits: { headerBytes: 20 } }), "TOO-LARGE");
  assert.equal(refusal(SIMPLE, { limits: { recipients: 0 } }), "TOO-MANY");
});

const corpora = ["hostile-submissions", "friendly-submissions"].flatMap((name) => {
  const folder = join(import.meta.dirname, "../../../../test", name);
  return readdirSync(folder).flatMap((file) => (file.endsWith(".eml") ? [readFileSync(join(folder, file))] : []));
});

test("whatever is handed in is refused, or comes out well formed, without Bcc and Received, and goes in again", () => {
  const change = fc.record({
    at: fc.nat(),
    remove: fc.nat({ max: 40 }),
    insert: fc.oneof(
      fc.constantFrom(
        ...'\n|\r\n|\n |:|@|,|;|<|>|"|(|)|\\|--|boundary=|\0|\r|é|Bcc: secret@example.com\n|From: '.split("|"),
      ),
      fc.string({ maxLength: 20 }),
    ),
  });
  let accepted = 0;
  fc.assert(
    fc.property(fc.constantFrom(...corpora), fc.array(change, { maxLength: 3 }), (seed, changes) => {
      let message = seed;
      for (const { at, remove, insert } of changes) {
        const start = at % (message.length + 1);
        message = Buffer.concat([message.subarray(0, start), Buffer.from(insert), message.subarray(start + remove)]);
      }
      let prepared: PreparedSubmission;
      try {
        prepared = prepare(message, { recipients: ["bob@example.net"] });
      } catch (error) {
        if (error instanceof FormatError || error instanceof PolicyError) return;
        throw error;
      }
      accepted += 1;
      const text = prepared.message.toString("latin1");
      const { fields } = parseMime(prepared.message);
      assert.ok(fields.every(({ name }) => !/^(bcc|received|resent-.*|x-.*|return-path|user-agent)$/.test(name)));
      assert.equal(fields.filter(({ name }) => name === "from").length, 1);
      assert.match(text, /\r\n$/);
      assert.doesNotMatch(text.replaceAll("\r\n", ""), /[\r\n\0]/);
      assert.ok(text.split("\r\n").every((line) => line.length <= 998));
      const again = prepare(prepared.message, { recipients: ["bob@example.net"] });
      assert.equal(again.messageId, prepared.messageId);
      assert.equal(again.message.length, prepared.message.length);
      assert.deepEqual(
        again.warnings.filter(({ kind }) => kind !== "left"),
        [],
      );
    }),
    { numRuns: 1500 },
  );
  assert.ok(accepted > 100, `${accepted} accepted`);
});

test("no byte of a dropped field comes out", () => {
  const name = fc.stringMatching(/^X-[A-Za-z0-9-]{1,20}$/);
  fc.assert(
    fc.property(name, fc.stringMatching(/^[a-z]{12,40}$/), fc.nat({ max: 3 }), (field, value, line) => {
      const lines = SIMPLE.split("\n");
      lines.splice(line, 0, `${field}: ${value}\n\t${value}`);
      const out = prepare(lines.join("\n")).message.toString().toLowerCase();
      assert.ok(!out.includes(value.toLowerCase()) && !out.includes(field.toLowerCase()));
    }),
  );
});

test("huge and twisted messages take a bounded time", () => {
  const start = performance.now();
  const head = "From: alice@example.org\nTo: bob@example.net\nMIME-Version: 1.0\n";
  const ids = Array.from({ length: 990 }, (_, index) => `--b\nContent-ID: <i${index}@x>\n\nx\n`).join("");
  const references = `${`cid:i1,${"'.".repeat(140)} `.repeat(3)}\n`.repeat(4000);
  prepare(
    `${head}Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n${references}\n${ids}--b--\n`,
  );
  const words = `=?utf-8?q?${"a".repeat(60)}?=\n `.repeat(800);
  prepare(`${head}List-Id: ${words}x\n\nx\n`);
  const receipt = `${"a".repeat(990)}\n`.repeat(2000);
  assert.throws(() => prepare(`${head}Content-Type: message/disposition-notification\n\n${receipt}`), /65536 bytes/);
  prepare(`${head}Content-Type: message/disposition-notification\n\n${receipt.slice(0, 60_000)}`);
  const pieces = Array.from({ length: 5 }, (_, index) => `; name*${index}*="${"%2F".repeat(130)}"`).join("\n ");
  prepare(
    `${head}Content-Type: multipart/mixed; boundary=b\n\n${`--b\nContent-Type: text/plain${pieces}\n\nx\n`.repeat(990)}--b--\n`,
  );
  const tooLong = pieces + pieces.replaceAll("name*", "name*1");
  assert.throws(() => prepare(`${head}Content-Type: text/plain${tooLong}\n\nx\n`), /a name of at most 2000 characters/);
  const fields = `--b\n${Array.from({ length: 500 }, (_, index) => `X-${index}: y\n`).join("")}\nx\n`;
  const parts = `Content-Type: multipart/mixed; boundary=b\n\n${fields.repeat(900)}--b--\n`;
  assert.throws(() => prepare(head + parts), /at most 10000 fields in all parts/);
  prepare(`${head}Content-Type: text/plain\n\n${"--\n".repeat(500_000)}`);
  const eightBit = `${head}Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n`;
  const escaped = `${eightBit}${`é${"=".repeat(70)}\n`.repeat(470_000)}`;
  assert.throws(() => prepare(escaped), /expected at most 36700160/);
  assert.ok(performance.now() - start < 4000, `${performance.now() - start} ms`);
});
