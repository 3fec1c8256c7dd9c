/** Signatures by a real ssh-agent, judged by dkimpy, which is not ours. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as fc from "fast-check";
import { HostError } from "#core/errors.ts";
import { WireReader } from "#core/ssh/wire.ts";
import { exec } from "#host/exec.ts";
import { exists } from "#host/files.ts";
import { type DkimVerdict, dkimVerdicts } from "#test/corpus/dkim-verify.ts";
import { Signer, type SignerOptions } from "./signer.ts";

const domain = "shoal.example";
let folder = "";
let agent: ChildProcess;
let options: SignerOptions;
let records: { name: string; data: string }[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-signer-"));
  const socket = join(folder, "socket");
  agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  for (let tries = 0; tries < 100 && !(await exists(socket)); tries++) await sleep(50);
  const wire: Record<string, Buffer> = {};
  for (const type of ["rsa", "ed25519"]) {
    const file = join(folder, type);
    await exec("ssh-keygen", ["-q", "-t", type, ...(type === "rsa" ? ["-b", "2048"] : []), "-N", "", "-f", file]);
    await exec("ssh-add", ["-q", file], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    wire[type] = Buffer.from((await readFile(`${file}.pub`, "utf8")).split(" ")[1] ?? "", "base64");
  }
  const publicKey = (type: string): string => wire[type]?.toString("base64") ?? "";
  options = {
    domain,
    socket,
    keys: [
      { selector: "g1r", algorithm: "rsa", publicKey: publicKey("rsa") },
      { selector: "g1e", algorithm: "ed25519", publicKey: publicKey("ed25519") },
    ],
    seconds: 10,
  };
  const rsa = new WireReader(wire["rsa"] ?? Buffer.alloc(0), "KEY", "key");
  rsa.name();
  const [e, n] = [rsa.positive().toString("base64url"), rsa.positive().toString("base64url")];
  const info = createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" }).export({ format: "der", type: "spki" });
  const point = wire["ed25519"]?.subarray(-32) ?? Buffer.alloc(0);
  records = [
    { name: `g1r._domainkey.${domain}`, data: `v=DKIM1; k=rsa; p=${info.toString("base64")}` },
    { name: `g1e._domainkey.${domain}`, data: `v=DKIM1; k=ed25519; p=${point.toString("base64")}` },
  ];
});

after(async () => {
  agent.kill();
  await rm(folder, { recursive: true, force: true });
});

const head = [
  "Received: by out.mail.shoal.example id 0123456789abcdef; Sun, 22 Nov 2026 06:00:00 +0000",
  "Date: Sun, 22 Nov 2026 06:00:00 +0000",
  "From: Alice  Example <alice@shoal.example>",
  "To: carol@post.example",
  "Message-ID: <00112233445566778899aabbccddeeff@shoal.example>",
  "Subject: what is\r\n  folded \tand has blanks ",
  "MIME-Version: 1.0",
].join("\r\n");

async function signed(body: string | Buffer, header = head): Promise<Buffer> {
  return await new Signer(options).sign(Buffer.concat([Buffer.from(`${header}\r\n\r\n`), Buffer.from(body)]));
}

async function verdicts(message: Buffer): Promise<DkimVerdict[]> {
  return (await dkimVerdicts([message], records))[0] ?? [];
}

function both(valid: boolean): { key: string; valid: boolean }[] {
  return ["g1r", "g1e"].map((selector) => ({ key: `${selector}._domainkey.${domain}`, valid }));
}

function asShort(found: readonly DkimVerdict[]): { key: string; valid: boolean }[] {
  return found.map(({ key, valid }) => ({ key, valid }));
}

test("both signatures verify, whatever the body", async () => {
  const bodies: (string | Buffer)[] = [
    "",
    "\r\n",
    "\r\n\r\n\r\n",
    " \t\r\n",
    "one line\r\n",
    "blanks  at \t the end \t \r\n\r\n\r\n",
    ".\r\n..\r\n.from the start\r\n",
    "From the start\r\n>From quoted\r\n",
    Buffer.concat([Buffer.from([0xff, 0xfe, 0x80]), Buffer.from(" größer\r\n")]),
    `${"x".repeat(998)}\r\n${" ".repeat(998)}\r\n`,
    "long body with some words in each line\r\n".repeat(5000),
  ];
  const messages = await Promise.all(bodies.map((body) => signed(body)));
  const found = await dkimVerdicts(messages, records);
  for (const [index, verdict] of found.entries()) assert.deepEqual(asShort(verdict), both(true), `body ${index}`);
});

test("law: what is signed verifies, and not after one byte of text was changed", async () => {
  const line = fc.string({ unit: fc.constantFrom("a", "b", " ", "\t", ".", "\u00e9"), maxLength: 12 });
  const lines = fc.sample(fc.array(line, { maxLength: 8 }), { numRuns: 60, seed: 4711 });
  const messages = await Promise.all(lines.map((one) => signed(`${one.join("\r\n")}\r\nend\r\n`)));
  const changed = messages.map((message) =>
    Buffer.from(message.toString("latin1").replace(/end\r\n$/, "emd\r\n"), "latin1"),
  );
  const found = await dkimVerdicts([...messages, ...changed], records);
  for (const [index, verdict] of found.entries()) {
    assert.deepEqual(asShort(verdict), both(index < messages.length), `message ${index}`);
  }
});

test("nobody adds, changes or removes a field that tells who says what", async () => {
  const message = (await signed("text\r\n")).toString("latin1");
  const attacks: Record<string, string> = {
    ...Object.fromEntries(
      [
        "From: eve@shoal.example",
        "Reply-To: eve@evil.example",
        "To: dave@post.example",
        "Cc: dave@post.example",
        "Subject: another one",
        "Date: Mon, 23 Nov 2026 06:00:00 +0000",
        "Message-ID: <other@shoal.example>",
        "In-Reply-To: <other@shoal.example>",
        "References: <other@shoal.example>",
        "MIME-Version: 1.0",
        "Content-Type: text/html",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment",
      ].flatMap((field) => [
        [`${field} on top`, `${field}\r\n${message}`],
        [`${field} at the end`, message.replace("\r\n\r\n", `\r\n${field}\r\n\r\n`)],
      ]),
    ),
    "Subject changed": message.replace("what is", "what was"),
    "From changed": message.replace("Alice", "Alicia"),
    "From removed": message.replace(/^From: .*\r\n/m, ""),
    "body made longer": `${message}more\r\n`,
  };
  const found = await dkimVerdicts(
    Object.values(attacks).map((text) => Buffer.from(text, "latin1")),
    records,
  );
  for (const [index, name] of Object.keys(attacks).entries()) {
    assert.ok(
      found[index]?.length === 2 && found[index].every(({ valid }) => !valid),
      `${name}: ${JSON.stringify(found[index])}`,
    );
  }
});

test("what other servers do on the way does no harm", async () => {
  const message = (await signed("text\r\n\r\n")).toString("latin1");
  const changes = [
    `Received: from a by b; Sun, 22 Nov 2026 06:00:00 +0000\r\n${message}`,
    `X-Spam: no\r\nSender: list@list.example\r\nList-Id: <list.example>\r\n${message}`,
    message.replace("Subject: what is\r\n  folded \tand", "subject:  what is folded\r\n and"),
    message.replace(/text\r\n\r\n$/, "text  \r\n"),
  ];
  const found = await dkimVerdicts(
    changes.map((change) => Buffer.from(change, "latin1")),
    records,
  );
  for (const [index, verdict] of found.entries()) assert.deepEqual(asShort(verdict), both(true), changes[index] ?? "");
});

test("fields that stand more than once, and long lists of them, are signed from the last to the first", async () => {
  const keywords = Array.from({ length: 40 }, (_, index) => `Keywords: word ${index}`).join("\r\n");
  const message = await signed("text\r\n", `${head}\r\nSender: alice@shoal.example\r\n${keywords}`);
  assert.deepEqual(asShort(await verdicts(message)), both(true));
  const text = message.toString("latin1");
  for (const line of text.split("\r\n\r\n", 1)[0]?.split("\r\n") ?? []) assert.ok(line.length <= 90, line);
  const swapped = text
    .replace("word 3\r\n", "word X\r\n")
    .replace("word 4\r\n", "word 3\r\n")
    .replace("word X", "word 4");
  assert.notEqual(swapped, text);
  assert.deepEqual(asShort(await verdicts(Buffer.from(swapped, "latin1"))), both(false));
});

test("the longest header that may be is signed", async () => {
  const line = `Keywords: ${"word ".repeat(15)}\r\n`;
  const message = await signed("text\r\n", `${line.repeat(Math.floor(62_000 / line.length))}${head}`);
  assert.deepEqual(asShort(await verdicts(message)), both(true));
});

test("a message of many megabytes is signed, too", async () => {
  const line = "bm90aGluZyB0byByZWFkIGhlcmUsIGJ1dCBhIGxvdCBvZiBpdCBmb3IgYSBmaWxlIHRoYXQgaXMgbGFyZ2U=\r\n";
  const body = line.repeat(50_000);
  assert.deepEqual(asShort(await verdicts(await signed(body))), both(true));
});

test("an agent that is away or lost its keys: nothing is signed, and it can be tried again", async () => {
  const message = Buffer.from(`${head}\r\n\r\ntext\r\n`);
  const isTemporary = (error: unknown): boolean =>
    error instanceof HostError && /can't be signed for now/.test(error.message);
  await assert.rejects(new Signer({ ...options, socket: join(folder, "none") }).sign(message), isTemporary);
  const other = options.keys.map((key) => ({ ...key, publicKey: key.publicKey.replace(/.{8}$/, "AAAAAAA=") }));
  await assert.rejects(new Signer({ ...options, keys: other }).sign(message), isTemporary);
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(join(folder, "silent"), resolve));
  await assert.rejects(
    new Signer({ ...options, socket: join(folder, "silent"), seconds: 0.2 }).sign(message),
    isTemporary,
  );
  silent.close();
  assert.equal((await new Signer(options).sign(message)).subarray(-6).toString(), "text\r\n");
});
