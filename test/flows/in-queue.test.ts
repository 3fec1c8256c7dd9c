/** front, OpenSMTPD and seal together, with the real smtpd.conf: what the queue holds, and what can't stop them. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { open, parseIdentities } from "#core/age/age.ts";
import { type Envelope, parseEnvelopes } from "#core/mail/envelopes.ts";
import { parseSealedMail } from "#core/mail/sealed-mail.ts";
import { exec } from "#host/exec.ts";
import { startFront } from "#roles/in/front/server.ts";
import { loadTls } from "#roles/in/front/tls.ts";
import { smtpdConf } from "#roles/in/smtpd-conf.ts";
import { freePort } from "#test/sshd.ts";
import { pause, RawClient } from "./in-raw-client.ts";
import { inside } from "./in-root.ts";
import { TestSmtpd } from "./in-smtpd.ts";

const mark = "PLAINTEXT-MARK-c0de";
const maxMessageBytes = 36_700_160;
let folder = "";
let identity = "";
let smtpd: TestSmtpd;
let servers: Server[] = [];
let frontPort = 0;
let smtpdPort = 0;
/** What smtpd relays to when its queue runs: refuses everything for good, which a courier never does. */
let refuser: Server;
const refused: string[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-queue-"));
  await exec("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mx.example.org".split(" "),
    "-keyout",
    join(folder, "key.pem"),
    "-out",
    join(folder, "cert.pem"),
  ]);
  const made = (await exec("age-keygen", [])).stdout.toString();
  identity = made.split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-")) ?? "";
  const recipient = /age1[a-z0-9]+/.exec(made)?.[0] ?? "";
  const courierPort = await freePort();
  smtpdPort = await freePort();
  frontPort = await freePort();
  refuser = createServer((socket) => {
    const answers: Record<string, string> = { DATA: "354 go", QUIT: "221 bye", ".": "550 5.0.0 never" };
    socket.write("220 refuser\r\n");
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      const line = chunk.toString("latin1").trimEnd().split("\r\n").at(-1) ?? "";
      if (line === ".") refused.push(line);
      const known = answers[line] ?? (/^[A-Z]{4}( |$)/.test(line) ? "250 ok" : null);
      if (known !== null) socket.write(`${known}\r\n`);
    });
  });
  await new Promise<void>((resolve) => refuser.listen(courierPort, "127.0.0.1", resolve));
  smtpd = await TestSmtpd.start({
    port: smtpdPort,
    config: smtpdConf({
      hostname: "mx.example.org",
      domain: "example.org",
      frontPort: smtpdPort,
      courierPort,
      maxMessageBytes,
      maxRecipients: 100,
      rspamdUrl: null,
      sealCommand: `${inside.node} ${inside.repository}/src/roles/in/seal/main.ts /etc/shoal/seal.json`,
      sealUser: "nobody",
    }),
    files: {
      "/etc/shoal/seal.json": JSON.stringify({
        hostname: "mx.example.org",
        recipientsFile: "/etc/shoal/recipients",
        usageFile: "/run/shoal/usage",
      }),
      "/etc/shoal/recipients": `shoal-recipients/v1\ndomain example.org\naccount alice niUaW71aJ-nWDDa9BF5RjA 1 1000000000 fetch\nseal ${recipient}\naccount bob 5hRvN0wEZ4ZHZ1fZvGfnVw 1 1000000000 fetch\nseal ${recipient}\n`,
      "/run/shoal/usage": `shoal-usage/v1\ntime ${Math.floor(Date.now() / 1000)}\n`,
    },
    before: "mount -t tmpfs -o size=200m,mode=711 tmpfs /var/spool/smtpd",
  });
  await smtpd.run("smtpctl", "pause", "mta");
  servers = await startFront(
    {
      domain: "example.org",
      listen: [{ address: "127.0.0.1", port: frontPort }],
      smtpd: { address: "127.0.0.1", port: smtpdPort },
      tls: { certificate: "", key: "" },
      maxMessageBytes,
      maxConnections: 100,
      maxConnectionsPerClient: 60,
      commandSeconds: 20,
      pauseSeconds: 20,
      messageSeconds: 60,
      replySeconds: 30,
      lingerSeconds: 1,
    },
    await loadTls(join(folder, "cert.pem"), join(folder, "key.pem")),
    () => undefined,
  );
});

after(async () => {
  for (const server of servers) server.close();
  refuser.close();
  await smtpd.stop();
  await rm(folder, { recursive: true });
});

async function hello(tls = false): Promise<RawClient> {
  const client = await RawClient.connect(frontPort);
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.command("EHLO sender.example"), /^250[- ]/);
  if (tls) {
    assert.match(await client.command("STARTTLS"), /^220 /);
    await client.secure();
    assert.match(await client.command("EHLO sender.example"), /^250[- ]/);
  }
  return client;
}

async function transact(client: RawClient, recipients: readonly string[], message: string | Buffer): Promise<string> {
  assert.match(await client.command("MAIL FROM:<alice@example.org>"), /^250 /);
  for (const recipient of recipients) assert.match(await client.command(`RCPT TO:<${recipient}>`), /^250 /);
  assert.match(await client.command("DATA"), /^354 /);
  client.send(message);
  client.send("\r\n.\r\n");
  return await client.reply();
}

/** Every file under smtpd's spool. */
async function spool(): Promise<{ path: string; content: Buffer }[]> {
  const top = join(await smtpd.path(), "var/spool/smtpd");
  const entries = await readdir(top, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return await Promise.all(files.map(async (path) => ({ path, content: await readFile(path) })));
}

async function queued(): Promise<Envelope[][]> {
  const messages = (await spool()).filter(({ path }) => path.endsWith("/message"));
  return messages.map(({ content }) => parseEnvelopes(content));
}

function opened(envelope: Envelope | undefined): ReturnType<typeof parseSealedMail> {
  assert.ok(envelope);
  return parseSealedMail(open(parseIdentities(identity), envelope.file));
}

async function emptied(): Promise<void> {
  await smtpd.run("smtpctl", "remove", "all");
  for (let turn = 0; turn < 1000 && (await queued()).length > 0; turn += 1) await pause(50);
  assert.deepEqual(await queued(), []);
}

test("smtpd takes the configuration", async () => {
  assert.match(await smtpd.run("sh", "-c", "smtpd -n 2>&1"), /configuration OK/);
});

test("the queue holds one sealed envelope for each account and no word of the message", async () => {
  const client = await hello(true);
  const message = `Subject: ${mark}\r\n\r\n${mark}\r\n..dot\r\n\r\n8bit \xe4\xff`;
  const reply = await transact(client, ["alice@example.org", "bob@example.org", "Alice+x@example.org"], message);
  assert.match(reply, /^250 /);
  for (const { path, content } of await spool()) assert.ok(!content.includes(mark), path);
  const [envelopes = [], ...others] = await queued();
  assert.equal(others.length, 0);
  assert.deepEqual(
    envelopes.map(({ name }) => name),
    ["alice", "bob"],
  );
  const { trace, message: inner } = opened(envelopes[0]);
  assert.deepEqual(trace.addresses, ["alice@example.org", "Alice+x@example.org"]);
  assert.equal(trace.protocol, "ESMTPS");
  assert.equal(trace.ip, "127.0.0.1");
  assert.equal(trace.helo, "sender.example");
  const text = inner.toString("latin1");
  assert.ok(text.endsWith(`Subject: ${mark}\n\n${mark}\n.dot\n\n8bit \xe4\xff\n`), text);
  // A forged word to seal: front answers NOOP itself, so only front can say that TLS is on.
  await emptied();
  const clear = await hello();
  assert.match(await clear.command("NOOP shoal-tls TLSv1.3 x"), /^250 /);
  assert.match(await transact(clear, ["bob@example.org"], "Subject: x\r\n\r\nx"), /^250 /);
  assert.equal(opened((await queued())[0]?.[0]).trace.protocol, "ESMTP");
  for (const each of [client, clear]) each.close();
  await emptied();
});

test("clients that leave at any moment leave nothing behind and stop nobody", async () => {
  const steps = ["EHLO a.example", "MAIL FROM:<a@a.example>", "RCPT TO:<alice@example.org>", "DATA"];
  await Promise.all(
    Array.from({ length: 24 }, async (_, index) => {
      const client = await RawClient.connect(frontPort);
      await client.reply();
      for (const step of steps.slice(0, index % 6)) await client.command(step);
      if (index % 6 === 4) client.send("Subject: half\r\n\r\nha");
      if (index % 6 === 5) client.send(`Subject: half\r\n\r\n${"x\r\n".repeat(index * 1000)}bare\nLF`);
      await pause(index);
      client.close();
    }),
  );
  await pause(200);
  assert.deepEqual(await queued(), []);
  const client = await hello();
  assert.match(await transact(client, ["alice@example.org"], "Subject: x\r\n\r\nx"), /^250 /);
  client.close();
  await emptied();
});

test("35 MB pass, sealed", async () => {
  const client = await hello(true);
  const line = `${"x".repeat(998)}\r\n`;
  assert.match(await transact(client, ["alice@example.org"], `Subject: x\r\n\r\n${line.repeat(36_000)}`), /^250 /);
  client.close();
  const { message } = opened((await queued())[0]?.[0]);
  assert.ok(message.length > 35_900_000);
  await emptied();
});

test("bytes that front would have stopped don't stop seal when smtpd gets them directly", async () => {
  // PROXY header: local, no addresses.
  const header = Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");
  for (const body of ["a\0b\r\nc\rd\r\n\re\nf", "x".repeat(1_000_000), "\0\0\0\r\n\0.", `${"y".repeat(65_400)}\r\n`]) {
    const client = await RawClient.connect(smtpdPort);
    client.send(header);
    await client.reply();
    for (const step of ["EHLO a", "MAIL FROM:<a@a.example>", "RCPT TO:<alice@example.org>"]) await client.command(step);
    await client.command("DATA");
    client.send(`Subject: x\r\n\r\n${body}\r\n.\r\n`);
    assert.match(await client.reply(), /^(250|500) /);
    client.close();
  }
  for (const envelopes of await queued()) opened(envelopes[0]);
  assert.ok(smtpd.running);
  await emptied();
});

test("a full disk is told to come back, and seal lives on", async () => {
  await smtpd.run("sh", "-c", "head -c 199m /dev/zero > /var/spool/smtpd/filler 2>/dev/null; df /var/spool/smtpd");
  const client = await hello();
  const reply = await transact(client, ["alice@example.org"], `Subject: ${mark}\r\n\r\n${"x\r\n".repeat(500_000)}`);
  assert.match(reply, /^4\d\d /);
  client.close();
  await smtpd.run("rm", "/var/spool/smtpd/filler");
  const next = await hello();
  assert.match(await transact(next, ["alice@example.org"], "Subject: x\r\n\r\nx"), /^250 /);
  next.close();
  await emptied();
});

test("nothing but the world's mail gets in, and what is refused behind us never bounces", async () => {
  const local = await smtpd.run("sh", "-c", `cd /; echo ${mark} | sendmail alice@example.org 2>&1 || true`);
  assert.match(local, /550|invalid/i);
  assert.deepEqual(await spool(), []);
  const client = await hello();
  assert.match(await transact(client, ["bob@example.org"], `Subject: ${mark}\r\n\r\n${mark}`), /^250 /);
  client.close();
  await smtpd.run("smtpctl", "resume", "mta");
  for (let turn = 0; turn < 1000 && (refused.length === 0 || (await spool()).length > 0); turn += 1) await pause(50);
  assert.ok(refused.length > 0);
  // alice, the sender, would have got smtpd's notice.
  assert.deepEqual(await spool(), []);
  assert.doesNotMatch(smtpd.log, /from=<> to=<alice@example\.org>.*result="?Ok/);
  assert.ok(smtpd.running);
});
