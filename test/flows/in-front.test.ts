/** shoal-front before a real OpenSMTPD: no bytes make one message into two, and what is allowed arrives unharmed. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "#host/exec.ts";
import { startFront } from "#roles/in/front/server.ts";
import { loadTls } from "#roles/in/front/tls.ts";
import { freePort } from "#test/sshd.ts";
import { pause, RawClient } from "./in-raw-client.ts";
import { TestSmtpd } from "./in-smtpd.ts";

const maxMessageBytes = 300_000;
const logged: string[] = [];
let folder = "";
let smtpd: TestSmtpd;
let servers: Server[] = [];
let frontPort = 0;
let stockPort = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-front-"));
  await exec("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mx.example.org".split(" "),
    "-keyout",
    join(folder, "key.pem"),
    "-out",
    join(folder, "cert.pem"),
  ]);
  const proxied = await freePort();
  stockPort = await freePort();
  frontPort = await freePort();
  smtpd = await TestSmtpd.start({
    port: stockPort,
    config: [
      `listen on lo inet4 port ${stockPort} tag world`,
      `listen on lo inet4 port ${proxied} proxy-v2 tag world no-dsn`,
      `smtp max-message-size ${maxMessageBytes}`,
      'action "box" maildir "/var/mail/box" virtual { "@" = "mail" }',
      'match tag world from any for any action "box"',
      "",
    ].join("\n"),
    before: "mkdir -p /var/mail/box && chown mail /var/mail/box",
  });
  servers = await startFront(
    {
      domain: "example.org",
      listen: [{ address: "127.0.0.1", port: frontPort }],
      smtpd: { address: "127.0.0.1", port: proxied },
      tls: { certificate: "", key: "" },
      maxMessageBytes,
      maxConnections: 100,
      maxConnectionsPerClient: 60,
      commandSeconds: 5,
      pauseSeconds: 5,
      messageSeconds: 20,
      replySeconds: 10,
      lingerSeconds: 1,
    },
    await loadTls(join(folder, "cert.pem"), join(folder, "key.pem")),
    (text) => logged.push(text),
  );
});

after(async () => {
  for (const server of servers) server.close();
  await smtpd.stop();
  await rm(folder, { recursive: true });
});

/** The messages that smtpd delivered and that name `mark`. */
async function delivered(mark: string): Promise<string[]> {
  const box = join(await smtpd.path(), "var/mail/box/new");
  const files = await readdir(box).catch(() => []);
  const texts = await Promise.all(files.map((file) => readFile(join(box, file), "latin1")));
  return texts.filter((text) => text.includes(mark));
}

/** Waits until deliveries of `mark` are there; smtpd delivers within its next second. */
async function arrived(mark: string, count: number): Promise<string[]> {
  for (let turn = 0; turn < 1000; turn += 1) {
    const texts = await delivered(mark);
    if (texts.length >= count) return texts;
    await pause(100);
  }
  return await delivered(mark);
}

async function hello(port: number, tls: boolean): Promise<RawClient> {
  const client = await RawClient.connect(port);
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.command("EHLO sender.example"), /^250[- ]/);
  if (tls) {
    assert.match(await client.command("STARTTLS"), /^220 /);
    await client.secure();
    assert.match(await client.command("EHLO sender.example"), /^250[- ]/);
  }
  return client;
}

async function upToData(client: RawClient): Promise<void> {
  assert.match(await client.command("MAIL FROM:<outer@sender.example>"), /^250 /);
  assert.match(await client.command("RCPT TO:<user@example.org>"), /^250 /);
  assert.match(await client.command("DATA"), /^354 /);
}

const falseEnds: Record<string, string> = {
  "LF.LF": "\n.\n",
  "LF.CRLF": "\n.\r\n",
  "CRLF.LF": "\r\n.\n",
  "CR.CR": "\r.\r",
  "CRLF.CR": "\r\n.\r",
  "CRLF dot NUL CRLF": "\r\n.\0\r\n",
  "LF LF.CRLF": "\n\n.\r\n",
  "CR CRLF.CRLF": "\r\r\n.\r\n",
};

/** Sends a message with a false end and after it, in spaced segments, a second one with a forged sender. */
async function smuggle(
  port: number,
  tls: boolean,
  falseEnd: string,
  spacing: number,
  mark: string,
): Promise<RawClient> {
  const client = await hello(port, tls);
  await upToData(client);
  client.send(`Subject: ${mark} outer\r\n\r\nbody`);
  const segments = [
    falseEnd,
    "MAIL FROM:<forged@bank.example>\r\n",
    "RCPT TO:<user@example.org>\r\n",
    "DATA\r\n",
    `Subject: ${mark} forged\r\n\r\nbody\r\n`,
    ".\r\n",
    "QUIT\r\n",
  ];
  for (const segment of segments) {
    await pause(spacing);
    client.send(segment);
  }
  await Promise.race([client.ended(), pause(2000)]);
  client.close();
  return client;
}

test("<postmaster> needs no domain, and nobody else is meant by it", async () => {
  const client = await hello(frontPort, false);
  assert.match(await client.command("MAIL FROM:<>"), /^250 /);
  assert.match(await client.command("rcpt to: <PostMaster>"), /^250 /);
  assert.match(await client.command("DATA"), /^354 /);
  assert.match(await client.command("Subject: for-postmaster\r\n\r\nx\r\n."), /^250 /);
  const [text = ""] = await arrived("for-postmaster", 1);
  assert.match(text, /for <PostMaster@example\.org>/);
  assert.match(await client.command("MAIL FROM:<>"), /^250 /);
  assert.match(await client.command("RCPT TO:<postmaster-general>"), /^250 /);
  assert.match(await client.command("DATA"), /^354 /);
  assert.match(await client.command("Subject: for-another\r\n\r\nx\r\n."), /^250 /);
  const [other = ""] = await arrived("for-another", 1);
  assert.match(other, /for <postmaster-general@(?!example\.org)/);
});

test("a false end of a message never lets a second one out, nor the first", async () => {
  const attacks = Object.entries(falseEnds).flatMap(([name, end]) =>
    [0, 50, 300].flatMap((spacing) => [false, true].map((tls) => ({ name, end, spacing, tls }))),
  );
  await Promise.all(
    attacks.map(async ({ name, end, spacing, tls }, index) => {
      const client = await smuggle(frontPort, tls, end, spacing, `attack${index}.`);
      assert.match(client.received, /550 5\.6\.0 (bare LF|bare CR|NUL)/, `${name}, ${spacing} ms, TLS ${tls}`);
      assert.ok(client.closed);
    }),
  );
  // A decent message sent after all of them arrives, so the others would have by then.
  const client = await hello(frontPort, true);
  await upToData(client);
  client.send("Subject: decent\r\n\r\nbody\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  client.close();
  assert.equal((await arrived("decent", 1)).length, 1);
  await pause(300);
  assert.deepEqual(await delivered("attack"), []);
});

test("the same bytes sent to smtpd itself do let a forged one out, so that the test above can fail", async () => {
  const names = Object.keys(falseEnds);
  await Promise.all(
    Object.values(falseEnds).map((end, index) => smuggle(stockPort, false, end, 100, `stock${index}.`)),
  );
  await arrived("forged", 2);
  const forged = (await Promise.all(names.map((_, index) => delivered(`stock${index}. forged`)))).flatMap(
    (texts, index) => (texts.length > 0 ? [names[index]] : []),
  );
  assert.ok(forged.includes("LF.LF"), `forged through ${forged.join(", ")}`);
  assert.ok(forged.includes("CRLF dot NUL CRLF"), `forged through ${forged.join(", ")}`);
});

test("bytes after STARTTLS in clear end the connection before any of them is obeyed", async () => {
  for (const spacing of [0, 50]) {
    const client = await hello(frontPort, false);
    client.send("STARTTLS\r\n");
    if (spacing > 0) await pause(spacing);
    client.send("EHLO injected\r\nMAIL FROM:<injected@bank.example>\r\n");
    await client.ended();
    assert.doesNotMatch(client.received.slice(client.received.indexOf("STARTTLS")), /250 2/);
  }
  const oneSegment = await hello(frontPort, false);
  oneSegment.send("STARTTLS\r\nNOOP\r\n");
  assert.match(await oneSegment.reply(), /^554 5\.5\.1 /);
  await oneSegment.ended();
});

test("a message sent before the go-ahead is refused, whether DATA is accepted or not", async () => {
  for (const recipient of ["RCPT TO:<user@example.org>", "NOOP"]) {
    const client = await hello(frontPort, false);
    await client.command("MAIL FROM:<outer@sender.example>");
    await client.command(recipient);
    client.send("DATA\r\nSubject: ahead\r\n\r\nMAIL FROM:<x@y.example>\r\n.\r\n");
    assert.match(await client.reply(), /^503 5\.5\.0 /);
    await client.ended();
  }
  await pause(300);
  assert.deepEqual(await delivered("ahead"), []);
});

test("commands sent ahead are obeyed one by one", async () => {
  const client = await hello(frontPort, false);
  client.send("MAIL FROM:<outer@sender.example>\r\nRCPT TO:<user@example.org>\r\nNOOP forged\r\nDATA\r\n");
  for (const expected of [/^250 /, /^250 /, /^250 /, /^354 /]) assert.match(await client.reply(), expected);
  client.send("Subject: piped\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n");
  for (const expected of [/^250 /, /^250 /, /^250 /, /^221 /]) assert.match(await client.reply(), expected);
  await client.ended();
  assert.match((await arrived("piped", 1))[0] ?? "", /\n\.dot\n/);
});

test("control characters and bare line ends in commands end the session", async () => {
  for (const bytes of ["NOOP\n", "NOOP\rX\r\n", "NO\0OP\r\n", "NOOP \x1b[31m\r\n", `NOOP ${"x".repeat(3000)}\r\n`]) {
    const client = await hello(frontPort, false);
    client.send(bytes);
    assert.match(await client.reply(), /^5\d\d 5\.\d\.\d /, JSON.stringify(bytes.slice(0, 20)));
    await client.ended();
  }
});

test("SIZE counts, and so does the message itself", async () => {
  const client = await hello(frontPort, false);
  assert.match(client.received, new RegExp(`SIZE ${maxMessageBytes}\r\n`));
  const from = "MAIL FROM:<a@sender.example>";
  assert.match(await client.command(`${from} SIZE=${maxMessageBytes + 1}`), /^552 5\.3\.4 /);
  assert.match(await client.command(`${from} SIZE=99999999999999999999999999`), /^501 5\.5\.4 /);
  for (const size of ["", "1k", "-1", "1 SIZE=2"]) {
    assert.match(await client.command(`${from} SIZE=${size}`), /^501 5\.5\.4 /, `SIZE=${size}`);
  }
  await upToData(client);
  const line = `${"x".repeat(998)}\r\n`;
  client.send(`Subject: toolarge\r\n\r\n${line.repeat(maxMessageBytes / 1000)}.\r\n`);
  assert.match(await client.reply(), /^552 5\.3\.4 /);
  // The session goes on, with nothing left of the message.
  assert.match(await client.command("RCPT TO:<user@example.org>"), /^503 /);
  await upToData(client);
  client.send(`Subject: fits\r\n\r\n${line.repeat(maxMessageBytes / 1000 - 1)}.\r\n`);
  assert.match(await client.reply(), /^250 /);
  client.close();
  assert.equal((await arrived("Subject: fits", 1)).length, 1);
  assert.deepEqual(await delivered("toolarge"), []);
});

test("a line arrives whole or is refused", async () => {
  const client = await hello(frontPort, true);
  for (const [length, expected] of [
    [65_000, /^250 /],
    [65_001, /^550 5\.6\.0 line longer/],
    [200_000, /^550 5\.6\.0 line longer/],
  ] as const) {
    await upToData(client);
    client.send(`Subject: line${length}\r\n\r\n${"y".repeat(length)}\r\n.\r\n`);
    assert.match(await client.reply(), expected, `${length} bytes`);
  }
  client.close();
  const [text] = await arrived("line65000", 1);
  assert.match(text ?? "", /\ny{65000}\n/);
  assert.deepEqual(await delivered("line65001"), []);
});

test("EHLO resets a transaction, and STARTTLS is offered until it is used", async () => {
  const client = await hello(frontPort, false);
  assert.match(client.received, /250[- ]STARTTLS/);
  assert.match(await client.command("MAIL FROM:<a@sender.example>"), /^250 /);
  assert.match(await client.command("STARTTLS"), /^503 /);
  assert.match(await client.command("EHLO other.example"), /^250-.* other\.example /);
  assert.match(await client.command("RCPT TO:<user@example.org>"), /^503 /);
  assert.match(await client.command("STARTTLS"), /^220 /);
  await client.secure();
  assert.match(await client.command("MAIL FROM:<a@sender.example>"), /^503 /);
  assert.doesNotMatch(await client.command("EHLO other.example"), /STARTTLS/);
  assert.match(await client.command("HELO other.example"), /^250 /);
  client.close();
});

test("what smtpd should not see is answered by the front", async () => {
  const client = await hello(frontPort, false);
  const expected = {
    HELP: /^214 /,
    "VRFY root": /^252 /,
    "EXPN staff": /^502 /,
    "ETRN x": /^502 /,
    "AUTH PLAIN AAAA": /^502 /,
    WIZ: /^502 /,
  };
  for (const [command, reply] of Object.entries(expected)) assert.match(await client.command(command), reply, command);
  for (let turn = 0; turn < 30; turn += 1) client.send("nonsense\r\n");
  await client.ended();
  assert.match(client.received, /421 4\.7\.0 too many mistakes\r\n$/);
});

test("the client's address reaches smtpd", () => {
  assert.match(smtpd.log, /smtp connected address=127\.0\.0\.1/);
});

test("forty clients at once all get their banner quickly", async () => {
  const began = Date.now();
  const clients = await Promise.all(Array.from({ length: 40 }, () => hello(frontPort, false)));
  assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`);
  for (const client of clients) client.close();
});

test("without smtpd a client is told to come back, and the front lives on", async () => {
  const client = await hello(frontPort, false);
  await upToData(client);
  const others = await Promise.all([hello(frontPort, false), hello(frontPort, true)]);
  for (const other of others) {
    assert.match(await other.command("MAIL FROM:<a@sender.example>"), /^250 /);
    assert.match(await other.command("RCPT TO:<user@example.org>"), /^250 /);
  }
  await smtpd.stop();
  client.send("Subject: lost\r\n\r\nbody\r\n.\r\n");
  assert.match(await client.reply(), /^421 4\.3\.0 /);
  await client.ended();
  for (const other of others) {
    // The whole transaction is refused, with an answer to each command, and the connection stays.
    for (let turn = 0; turn < 30; turn += 1) {
      assert.match(await other.command("RCPT TO:<user@example.org>"), /^451 4\.3\.0 /);
    }
    assert.match(await other.command("DATA"), /^451 4\.3\.0 /);
    assert.match(await other.command("RSET"), /^250 /);
    assert.match(await other.command("MAIL FROM:<a@sender.example>"), /^451 4\.3\.0 /);
    assert.match(await other.command("DATA"), /^451 4\.3\.0 /);
    assert.match(await other.command("QUIT"), /^221 /);
    await other.ended();
  }
  const next = await RawClient.connect(frontPort);
  assert.match(await next.reply(), /^421 4\.3\.0 /);
  await next.ended();
  for (const each of [client, next]) each.close();
  for (let turn = 0; turn < 1000 && !logged.includes("smtpd is away"); turn += 1) await pause(50);
  assert.ok(logged.includes("smtpd is away"), logged.join("\n"));
});
