/** shoal-seal as a process that a driver plays smtpd to, with the fences it has on machine `in`. */

import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { open, parseIdentities, parseRecipient } from "#core/age/age.ts";
import { parseEnvelopes } from "#core/mail/envelopes.ts";
import { parseSealedMail } from "#core/mail/sealed-mail.ts";
import { exec } from "#host/exec.ts";
import { inside, startInRoot, type TestRoot } from "./in-root.ts";
import { SealDriver } from "./in-seal-driver.ts";

const mark = "PLAINTEXT-MARK-7e1f";
const id = "niUaW71aJ-nWDDa9BF5RjA";
let keys: { identity: string; recipient: string };
let root: TestRoot;
let driver: SealDriver;
let files = "";

function accounts(extra = ""): string {
  const lines = ["alice", "bob", "carol", "dave"].map(
    (name) => `account ${name} ${id} 1 1000000000 fetch\nseal ${keys.recipient}\n`,
  );
  return `shoal-recipients/v1\ndomain example.org\n${lines.join("")}${extra}`;
}

function usage(ageSeconds: number, lines = ""): string {
  return `shoal-usage/v1\ntime ${Math.floor(Date.now() / 1000) - ageSeconds}\n${lines}`;
}

/** Replaces a file inside as its writer would, and waits until seal must have seen it. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(join(files, `${path}.new`), text);
  await rename(join(files, `${path}.new`), join(files, path));
  await new Promise((resolve) => setTimeout(resolve, 400));
}

before(async () => {
  const made = (await exec("age-keygen", [])).stdout.toString();
  const identity = made.split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-")) ?? "";
  const recipient = /age1[a-z0-9]+/.exec(made)?.[0] ?? "";
  assert.equal(parseRecipient(recipient).text, recipient);
  keys = { identity, recipient };
  // Its log goes to a disk that is full.
  const full = openSync("/dev/full", "w");
  root = await startInRoot({
    command: [
      "chroot",
      "--userspec=nobody:nogroup",
      "/",
      inside.node,
      "--permission",
      `--allow-fs-read=${inside.repository}`,
      "--allow-fs-read=/etc/shoal",
      "--allow-fs-read=/run/shoal",
      `${inside.repository}/src/roles/in/seal/main.ts`,
      "/etc/shoal/seal.json",
    ],
    stdio: ["pipe", "pipe", full],
    files: {
      "/etc/shoal/seal.json": JSON.stringify({
        hostname: "mx.example.org",
        recipientsFile: "/etc/shoal/recipients",
        usageFile: "/run/shoal/usage",
      }),
      "/etc/shoal/recipients": accounts(
        `account erin ${id} 1 20000 fetch\nseal age1broken\naccount frank ${id} 0 20000 fetch\n`,
      ),
      "/run/shoal/usage": usage(0, "dave 1000000000\n"),
    },
  });
  closeSync(full);
  const { stdin, stdout } = root.child;
  assert.ok(stdin && stdout);
  driver = new SealDriver(stdin, stdout);
  driver.configure();
  await driver.answer(/(^register\|filter\|smtp-in\|data-line\n)/m);
  await driver.answer(/(^register\|ready\n)/m);
  files = await root.path();
});

after(async () => {
  await root.stop();
});

test("a message comes out sealed, once for each account, and opens to what was sent", async () => {
  driver.connect("1111111111111111");
  driver.mail("1111111111111111", "sender@sender.example", " SIZE=300 BODY=8BITMIME");
  for (const address of ["alice@example.org", "Alice+shop@example.org", "alice@EXAMPLE.ORG", "bob@example.org"]) {
    assert.equal(await driver.recipient("1111111111111111", address), "proceed", address);
  }
  const lines = await driver.data("1111111111111111", [
    "Received: by mx.example.org",
    "\tfor somebody;",
    "Delivered-To: forged@example.net",
    "Subject: M\xfcll | pipes | and more",
    "",
    mark,
    "..dot",
    "...",
    "",
  ]);
  assert.equal(await driver.ask("1111111111111111", "commit"), "proceed");
  assert.equal(lines.at(-1), ".");
  const text = lines.slice(0, -1).join("\n");
  assert.ok(!text.includes(mark));
  const envelopes = parseEnvelopes(Buffer.from(`${text}\n`, "latin1"));
  assert.deepEqual(
    envelopes.map(({ name }) => name),
    ["alice", "bob"],
  );
  const identities = parseIdentities(keys.identity);
  const mails = envelopes.map(({ file }) => parseSealedMail(open(identities, file)));
  assert.deepEqual(
    mails.map(({ message }) => message.toString("latin1")),
    Array(2).fill(
      [
        "Received: by mx.example.org",
        "\tfor somebody;",
        "X-Outside-Delivered-To: forged@example.net",
        "Subject: M\xfcll | pipes | and more",
        "",
        mark,
        ".dot",
        "..",
        "\n",
      ].join("\n"),
    ),
  );
  const { time, ...trace } = mails[0]?.trace ?? assert.fail();
  assert.ok(Math.abs(time - Date.now() / 1000) < 10);
  assert.deepEqual(trace, {
    sender: "sender@sender.example",
    addresses: ["alice@example.org", "Alice+shop@example.org", "alice@EXAMPLE.ORG"],
    helo: "mail.sender.example",
    rdns: "mail.sender.example",
    ip: "192.0.2.7",
    host: "mx.example.org",
    protocol: "ESMTPS",
  });
  driver.report("1111111111111111", "tx-reset", "0badcafe");
  driver.report("1111111111111111", "link-disconnect");
});

test("who can't get it is refused at RCPT, and each refusal says why", async () => {
  const session = "2222222222222222";
  driver.connect(session);
  driver.mail(session, "a@sender.example", " SIZE=30000000");
  const expected = {
    "nobody@example.org": /^reject\|550 5\.1\.1 /,
    "alice@example.net": /^reject\|550 5\.7\.1 /,
    alice: /^reject\|550 5\.7\.1 /,
    "": /^reject\|550 5\.7\.1 /,
    "dave@example.org": /^reject\|552 5\.2\.2 /,
    "erin@example.org": /^reject\|450 4\.2\.1 /,
    "frank@example.org": /^reject\|450 4\.2\.1 /,
    "alice@example.org": /^proceed$/,
  };
  for (const [address, verdict] of Object.entries(expected)) {
    assert.match(await driver.recipient(session, address), verdict, address);
  }
  driver.report(session, "tx-reset", "0badcafe");
  driver.report(session, "link-disconnect");
});

test("too many accounts for the size are put off, with SIZE and without", async () => {
  const many = Array.from({ length: 12 }, (_, index) => `m${String(index).padStart(2, "0")}`);
  await replace(
    "/etc/shoal/recipients",
    accounts(many.map((name) => `account ${name} ${id} 1 1000000000 fetch\nseal ${keys.recipient}\n`).join("")),
  );
  for (const [size, fitting] of [
    [" SIZE=35000000", 5],
    ["", 5],
    [" SIZE=1000", 12],
  ] as const) {
    const session = "3333333333333333";
    driver.connect(session);
    driver.mail(session, "a@sender.example", size);
    const verdicts: string[] = [];
    for (const name of many) verdicts.push(await driver.recipient(session, `${name}@example.org`));
    assert.equal(verdicts.filter((verdict) => verdict === "proceed").length, fitting, size);
    for (const verdict of verdicts.slice(fitting)) assert.match(verdict, /^reject\|452 4\.5\.3 /);
    driver.report(session, "link-disconnect");
  }
});

test("hostile lines are survived, and the next mail is sealed", async () => {
  const hostile = [
    "",
    "|",
    "filter|",
    "filter|0.7|x",
    "filter|0.7|1.0|smtp-in|rcpt-to",
    "filter|0.7|1.0|smtp-in|rcpt-to|zzzz|1|a@b",
    "filter|0.7|1.0|smtp-out|rcpt-to|1|1|a@b",
    "filter|9.9|1.0|smtp-in|rcpt-to|1|1|a@b",
    "report|0.7|1.0|smtp-in|tx-rcpt|1111111111111111",
    "report|0.7|1.0|smtp-in|tx-mail|1111111111111111|0badcafe|ok",
    "report|0.7|1.0|smtp-in|link-connect|1111111111111111",
    "report|0.7|1.0|smtp-in|link-identify|1111111111111111",
    "report|0.7|1.0|smtp-in|no-such-event|1111111111111111|x",
    `report|0.7|1.0|smtp-in|link-connect|${"9".repeat(100)}|x`,
    "config|ready",
    "\0\0\0\r\r\r\xff\xfe",
    "x".repeat(1_000_000),
    "y".repeat(6_000_000),
    `filter|0.7|1.0|smtp-in|data-line|5555555555555555|1|${"z".repeat(2_000_000)}`,
    "filter|0.7|1.0|smtp-in|data-line|5555555555555555|1|.",
  ];
  for (const line of hostile) driver.raw(`${line}\n`);
  const session = "4444444444444444";
  driver.connect(session);
  assert.match(await driver.recipient(session, "alice@example.org"), /^reject\|451 /, "RCPT before MAIL");
  assert.match(await driver.ask(session, "commit"), /^reject\|451 /, "commit before DATA");
  assert.match(await driver.ask(session, "no-such-phase", "x"), /^reject\|451 /);
  driver.mail(session, "a@sender.example");
  assert.deepEqual(await driver.data(session, [mark]), ["."], "a message for nobody");
  assert.match(await driver.ask(session, "commit"), /^reject\|451 /);
  driver.report(session, "tx-rollback", "0badcafe");
  driver.mail(session, "a@sender.example");
  assert.equal(await driver.recipient(session, "alice@example.org"), "proceed");
  const bytes = Buffer.from(Array.from({ length: 255 }, (_, index) => (index === 9 ? 0 : index + 1)));
  const sealed = await driver.data(session, [
    "Subject: x",
    "",
    Buffer.concat([bytes.filter((byte) => byte !== 10)]),
    "w".repeat(1_000_000),
  ]);
  assert.equal(await driver.ask(session, "commit"), "proceed");
  const [envelope] = parseEnvelopes(Buffer.from(`${sealed.slice(0, -1).join("\n")}\n`, "latin1"));
  const mail = parseSealedMail(open(parseIdentities(keys.identity), envelope?.file ?? assert.fail()));
  assert.ok(mail.message.includes(bytes.filter((byte) => byte !== 10)));
  assert.ok(mail.message.includes("w".repeat(1_000_000)));
  driver.report(session, "link-disconnect");
});

test("a missing, broken or old file means: try again, and no plaintext", async () => {
  const session = "6666666666666666";
  const verdict = async (): Promise<string> => {
    driver.connect(session);
    driver.mail(session, "a@sender.example");
    const answer = await driver.recipient(session, "alice@example.org");
    driver.report(session, "link-disconnect");
    return answer;
  };
  assert.equal(await verdict(), "proceed");
  await replace("/run/shoal/usage", usage(16 * 60));
  assert.match(await verdict(), /^reject\|451 4\.3\.0 /);
  await replace("/run/shoal/usage", "shoal-usage/v1\ntime x\n");
  assert.match(await verdict(), /^reject\|451 4\.3\.0 /);
  await replace("/run/shoal/usage", usage(60));
  assert.equal(await verdict(), "proceed");
  await replace("/etc/shoal/recipients", "shoal-recipients/v1\ndomain example.org\naccount alice");
  assert.match(await verdict(), /^reject\|451 4\.3\.0 /);
  await replace("/etc/shoal/recipients", accounts());
  // The folder vanishes while a message is under way: what was admitted is sealed, what comes next is not taken.
  driver.connect("7777777777777777");
  driver.mail("7777777777777777", "a@sender.example");
  assert.equal(await driver.recipient("7777777777777777", "alice@example.org"), "proceed");
  await rename(join(files, "etc/shoal"), join(files, "etc/gone"));
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.match(await verdict(), /^reject\|451 4\.3\.0 /);
  const lines = await driver.data("7777777777777777", ["", mark]);
  assert.equal(await driver.ask("7777777777777777", "commit"), "proceed");
  assert.equal(parseEnvelopes(Buffer.from(`${lines.slice(0, -1).join("\n")}\n`, "latin1")).length, 1);
  await rename(join(files, "etc/gone"), join(files, "etc/shoal"));
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(await verdict(), "proceed");
});

test("35 MB for three accounts pass while smtpd reads slowly, and too much at once is put off", async () => {
  const line = Buffer.from("x".repeat(998));
  const large = Array<Buffer>(35_000).fill(line);
  const session = "8888888888888888";
  driver.connect(session);
  driver.mail(session, "a@sender.example", " SIZE=35000000");
  for (const name of ["alice", "bob", "carol"]) {
    assert.equal(await driver.recipient(session, `${name}@example.org`), "proceed");
  }
  const { stdout } = root.child;
  const slow = setInterval(() => {
    stdout?.pause();
    setTimeout(() => stdout?.resume(), 20);
  }, 100);
  const lines = await driver.data(session, large);
  clearInterval(slow);
  assert.equal(await driver.ask(session, "commit"), "proceed");
  const envelopes = parseEnvelopes(Buffer.from(`${lines.slice(0, -1).join("\n")}\n`, "latin1"));
  assert.equal(envelopes.length, 3);
  driver.report(session, "tx-reset", "0badcafe");
  // A message larger than smtpd would let through is dropped and refused, without using up the memory of others.
  driver.mail(session, "a@sender.example");
  assert.equal(await driver.recipient(session, "alice@example.org"), "proceed");
  assert.deepEqual(await driver.data(session, Array<Buffer>(39_000).fill(line)), ["."]);
  assert.match(await driver.ask(session, "commit"), /^reject\|451 4\.3\.0 /);
  driver.report(session, "link-disconnect");
  const status = await readFile(join(files, "..", "status"), "utf8");
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
  assert.ok(peak < 500_000, `${peak} kB at most`);
});

test("it lives until its input ends, and then it ends", async () => {
  const { child } = root;
  assert.equal(child.exitCode, null);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin?.end();
  assert.equal(await ended, 0);
  assert.ok(!driver.said.includes(mark));
});
