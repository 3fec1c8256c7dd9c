/** Mail that does not arrive: what its sender reads, that it is read once whatever is killed, and how it is sent again. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cellPlaces } from "#fleet/cell/places.ts";
import { makeMark } from "#test/marks/marks.ts";
import { until } from "#test/until.ts";
import { inboxMaildir, nameFiles, textFile } from "#test/world/machine-parts.ts";
import { inbox } from "#test/world/send.ts";
import { asPerson, type MoreWorld } from "#test/world/stage.ts";
import { post } from "#test/world/world.ts";
import { flowStage } from "./flow-stage.ts";
import { receivedBy, untilAllArrived } from "./mail-flow.ts";
import type { OddServer, OddServersConfig } from "./odd-servers.ts";

const domain = "shoal.example";

type Odd = Omit<OddServer, "address" | "name">;

const steering = "\x1b[2J\x1b]0;owned\x07\x9b31m<b>\xc3\xbc";
/** What they refuse comes back with these words. */
const oddRefusals: Readonly<Record<string, Odd & { readonly words: string }>> = {
  escapes: { rcpt: `550 5.1.1 no such user ${steering}`, words: "> 550 5.1.1 no such user ?[2J?]0;owned?31m<b>?" },
  bare: { rcpt: "550", words: "Its mail server refuses it, and says:\n  > 550\n" },
  lines: { rcpt: `${"550-5.1.1 many\r\n".repeat(300)}550 5.1.1 lines`, words: "There is no such user" },
  returns: { rcpt: "550 5.1.1 one\rTo: carol@post.example\rtwo", words: "> 550 5.1.1 one?To: carol@post.example?two" },
  neighbour: { rcpt: "550-5.7.1 no\r\n550-x@bare.odd.example: 550 5.1.1 no\r\n550 5.7.1 no", words: "does not want" },
  moved: { rcpt: "551 5.1.6 try <spy@elsewhere.example>", words: "> 551 5.1.6 try <spy@elsewhere.example>" },
  long: { rcpt: `550 5.1.1 ${"long ".repeat(180)}`, words: "..." },
  mimics: { rcpt: "550 Domain does not exist", words: "> 550 Domain does not exist" },
  nul: { dot: "550 5.7.1 a\0b", words: "does not want" },
  page: { dot: "553 <html><body>no</body></html>", words: "> 553 <html><body>no</body></html>" },
  small: { ehlo: "250-mx.odd.example\r\n250 SIZE 1", words: "The mail is larger" },
};
/** These have it once. */
const oddTakers: Readonly<Record<string, Odd>> = {
  forwards: { rcpt: "251 will forward to <x@elsewhere.example>" },
  vague: { rcpt: "252 can't tell" },
  greets: { greeting: `220 ${steering}` },
  offers: { ehlo: `${"250-X\r\n".repeat(10_000)}250 SIZE 99999999999999999999999999` },
  later: { ehlo: "250-mx.odd.example\r\n250 STARTTLS", starttls: "454 4.7.0 not now" },
  hasty: { dot: "250 taken\r\n550 or not" },
  leaves: { dot: "250 taken", dropsAt: "dot" },
};
/** With these it waits. */
const oddWaiters: Readonly<Record<string, Odd>> = {
  silent: { isSilent: true },
  flood: { greeting: `220-${"x".repeat(900)}\r\n`.repeat(10_000) },
  drops: { dropsAt: "rcpt" },
  strange: { rcpt: "999 what" },
  talks: { rcpt: "250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go" },
};
const oddLog = "/var/log/odd-servers";

/** @param network first three numbers of the world's addresses */
async function oddWorld(network: string): Promise<MoreWorld> {
  const servers = Object.entries({ ...oddRefusals, ...oddTakers, ...oddWaiters }).map(([name, odd], index) => {
    const { words: _, ...behaviour } = odd as Odd & { words?: string };
    return { ...behaviour, name, address: `${network}.${100 + index}` };
  });
  const [{ address } = { address: "" }, ...more] = servers;
  const config: OddServersConfig = { servers, log: oddLog };
  const program = "/usr/lib/odd-servers.mts";
  const source = await readFile(new URL("odd-servers.ts", import.meta.url), "utf8");
  const machine = {
    name: "odd",
    role: "world-odd",
    hostname: "odd.world.example",
    address,
    moreAddresses: more.map((server) => server.address),
    packages: ["node"],
    users: [],
    folders: [],
    files: [
      ...nameFiles(`${network}.53`, "odd.world.example", address),
      textFile("/etc/odd-servers.json", JSON.stringify(config)),
      textFile(program, source),
    ],
    services: [
      { name: "odd", user: "root", listens: 25, command: ["node", program, "/etc/odd-servers.json"] as const },
    ],
    schedules: [],
  };
  return {
    machines: [machine],
    records: servers.map((server) => ({ name: `${server.name}.odd.example`, type: "A", data: server.address })),
  };
}

const stage = flowStage({
  people: ["alice"],
  moreWorld: oddWorld,
  changes: [
    ["  ledger: 1\n", "  ledger: 1\n  out: 1\n"],
    ["connections-per-address: 100\n", "connections-per-address: 100\n  queue-hours: 48\n  warn-hours: 2\n"],
  ],
});

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

async function alice(command: string, input = ""): Promise<Ran> {
  const { status, stdout, stderr } = await stage().exec("user", asPerson("alice", command), {
    input,
  });
  return { status, out: stdout.toString("latin1"), err: stderr };
}

/** Runs a script as root of a machine, and fails unless it ends with 0. */
async function asRoot(machine: string, script: string, input: Uint8Array | string = ""): Promise<string> {
  const { status, stdout, stderr } = await stage().exec(machine, ["sh", "-ec", script], { input });
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1");
}

async function answers(host: string, port: number): Promise<boolean> {
  const greeting = `nc -w 2 ${host} ${port} </dev/null | grep -q ^220`;
  return (await stage().exec("out", ["sh", "-c", greeting])).status === 0;
}

/** smtpd of `out` with other lines; none of them is what its mail hangs on. */
async function smtpdWith(lines: Readonly<Record<string, string>>): Promise<void> {
  const edits = Object.entries(lines).map(([name, value]) => `-e 's/^${name} .*/${name} ${value}/'`);
  await asRoot("out", `sed -i ${edits.join(" ")} /etc/smtpd.conf; sv restart smtpd`);
  await until("smtpd of out", async () => await answers("127.0.0.1", 10_025));
}

/** Only these have a mailbox at Postfix. */
async function postfixKnows(people: readonly string[]): Promise<void> {
  const folder = `${inboxMaildir.slice(inboxMaildir.lastIndexOf("/") + 1)}/`;
  const known = people.map((name) => `${name}@post.example=${folder}`).join(",");
  // Down and up, because sessions that are kept open go on with what was known before; its master outlives runit's script.
  await asRoot(
    "post",
    `sv down postfix; postfix stop || true; postconf -e 'virtual_mailbox_maps=inline:{${known}}'; sv up postfix`,
  );
  await until("Postfix", async () => await answers("mx.post.example", 25));
}

async function queue(): Promise<string> {
  return await asRoot("out", "smtpctl show queue");
}

/** And waits for the next one. */
async function killSubmit(): Promise<void> {
  const pid = async (): Promise<string> => await asRoot("out", "cat /etc/service/submit/supervise/pid");
  const before = await pid();
  await asRoot("out", "sv kill submit");
  await until("another shoal-submit", async () => (await pid()) !== before && (await answers("127.0.0.1", 10_029)));
}

/** Everything that `out` still has is tried now, until it has nothing. */
async function untilQueueIsEmpty(): Promise<void> {
  await until("an empty queue", async () => {
    await stage().exec("out", ["smtpctl", "schedule", "all"]);
    return (await queue()) === "";
  });
}

/** Files in alice's Maildir with this text in them, after a sync. */
async function mails(text: string): Promise<{ file: string; bytes: string }[]> {
  await untilAllArrived(stage());
  await receivedBy(stage(), "alice");
  const folder = join(cellPlaces(stage().world, "user").keep, "home_alice", "Mail/shoal/new");
  const all = await Promise.all(
    (await readdir(folder)).map(async (name) => ({
      file: `Mail/shoal/new/${name}`,
      bytes: await readFile(join(folder, name), "latin1"),
    })),
  );
  return all.filter(({ bytes }) => bytes.includes(text));
}

/** The one notice about the mail with this text. */
async function notice(text: string): Promise<{ file: string; bytes: string }> {
  let found: { file: string; bytes: string }[] = [];
  await until("a notice", async () => (found = await mails(text)).length > 0);
  assert.equal(found.length, 1, found.map(({ bytes }) => bytes).join("\n=====\n"));
  const [one = { file: "", bytes: "" }] = found;
  return one;
}

async function atPost(text: string): Promise<string[]> {
  return (await inbox(stage().exec, post)).map((mail) => mail.toString("latin1")).filter((mail) => mail.includes(text));
}

test("the hours of the definition are smtpd's", async () => {
  await postfixKnows(["carol"]);
  await asRoot(
    "exim",
    "sed -i 's/^  accept domains = +local_domains/  deny domains = +local_domains\\n       message = Unknown user/' /etc/exim4/exim4.conf; sv restart exim",
  );
  const conf = await asRoot("out", "cat /etc/smtpd.conf");
  assert.match(conf, /^queue ttl 48h$/m);
  assert.match(conf, /^bounce warn-interval 2h$/m);
});

test("no such user, at Postfix and at Exim: the cause on top; sent again it goes once, to just whom it did not reach", async () => {
  const mark = makeMark();
  const people = "--to carol@post.example --to nobody@post.example";
  const sent = await alice(`shoal send --anyway ${people} --subject ${mark} --body 'for two ${mark}'`);
  assert.equal(sent.status, 0, sent.err);
  await untilQueueIsEmpty();
  const { file, bytes } = await notice(mark);
  const [, text = ""] = bytes.split("Content-Transfer-Encoding: 8bit\n\n");
  assert.match(bytes, /^Return-Path: <>$/m);
  assert.match(bytes, /^Subject: Not delivered: nobody@post\.example$/m);
  assert.match(
    text,
    /^Your mail did not reach this recipient:\n\nnobody@post\.example\n {2}There is no such user; its mail server says:\n {2}> 550 5\.1\.1 <nobody@post/,
  );
  assert.match(text, /^ {2}shoal send --again FILE$/m);
  assert.match(
    text,
    new RegExp(`^ {2}ssh alice@out\\.mail\\.${domain} send nobody@post\\.example < message\\.eml$`, "m"),
  );
  assert.ok(!text.includes("carol@post.example\n  "), "carol has it");
  assert.match(bytes, /^Content-Type: message\/rfc822$/m);
  assert.ok(bytes.includes(`for two ${mark}`), "the whole mail comes back");

  const atExim = makeMark();
  assert.equal((await alice(`shoal send --anyway --to x@exim.example --subject ${atExim} --body text`)).status, 0);
  await untilQueueIsEmpty();
  const other = await notice(atExim);
  assert.match(other.bytes, /^ {2}There is no such user; its mail server says:\n {2}> 550 Unknown user$/m);

  assert.equal((await atPost(mark)).length, 1);
  await postfixKnows(["carol", "nobody"]);
  const strict = await alice(`shoal send --strict --again ${file}`);
  assert.equal(strict.status, 75, "the certificate of this server is not trusted");
  const again = await alice(`shoal send --again ${file} --anyway`);
  assert.equal(again.status, 0, again.err);
  assert.match(again.out, /^accepted: 1 recipient/);
  assert.ok(!/not sent/.test(again.out), "nothing of the way is left in it");
  await untilQueueIsEmpty();
  const [first = "", second = "", ...more] = await atPost(mark);
  assert.deepEqual(more, []);
  const deliveredTo = (mail: string): string | undefined => /^Delivered-To: (.*)$/m.exec(mail)?.[1];
  assert.deepEqual([deliveredTo(first), deliveredTo(second)], ["carol@post.example", "nobody@post.example"]);
  const id = (mail: string): string | undefined => /^Message-ID: (.*)$/m.exec(mail)?.[1];
  assert.equal(id(first), id(second), "it is the same mail");
  await postfixKnows(["carol"]);
});

test("the plain command of the notice works with the mail that is attached", async () => {
  const mark = makeMark();
  assert.equal((await alice(`shoal send --anyway --to lost@post.example --subject ${mark} --body text`)).status, 0);
  await untilQueueIsEmpty();
  const { bytes } = await notice(mark);
  const attached = bytes.split("Content-Type: message/rfc822\n\n")[1]?.split("\n--notice-")[0] ?? "";
  await postfixKnows(["carol", "lost"]);
  const command = /^ {2}ssh (alice@\S+ send lost@post\.example) < message\.eml$/m.exec(bytes)?.[1] ?? "";
  const login = "ssh -F none -i .config/shoal/default/id_ed25519 -o BatchMode=yes";
  const again = await alice(`${login} ${command.replace(" send ", " send-anyway ")}`, attached);
  assert.equal(again.status, 0, again.err);
  await untilQueueIsEmpty();
  assert.equal((await atPost(mark)).length, 1);
  await postfixKnows(["carol"]);
});

test("a domain that does not exist is named", async () => {
  const mark = makeMark();
  assert.equal((await alice(`shoal send --anyway --to x@nowhere.example --subject ${mark} --body text`)).status, 0);
  const { bytes } = await notice(mark);
  assert.match(bytes, /^x@nowhere\.example\n {2}There is no such domain; look for a slip of the pen\.$/m);
  assert.match(bytes, /^X-Shoal-Cause: no-such-domain$/m);
});

/** Names of odd servers whose mail is still in the queue. */
async function waiting(): Promise<string[]> {
  return [...(await queue()).matchAll(/\|x@([a-z]+)\.odd\.example\|x@/g)].map(([, name = ""]) => name).sort();
}

test("servers that behave as none should: one mail each, one notice each in harmless words, and nobody waits for another", async () => {
  const mark = makeMark();
  const names = Object.keys({ ...oddRefusals, ...oddTakers, ...oddWaiters });
  const login = `ssh -F none -i .config/shoal/default/id_ed25519 -o BatchMode=yes alice@out.mail.${domain}`;
  const message = `From: alice@${domain}\\nTo: x@$1.odd.example\\nSubject: to $1\\n\\n.${mark} $1\\n`;
  const one = `printf "${message}" | ${login} send-anyway >/dev/null || echo "$1 $?"`;
  const sent = await alice(`xargs -n 1 -P 4 sh -c '${one}' sh`, `${names.join("\n")}\n`);
  assert.deepEqual([sent.status, sent.out], [0, ""], sent.err);
  let left: string[] = [];
  await until(
    () => `in the queue are ${left.join(", ")}`,
    async () => {
      left = await waiting();
      return left.join() === Object.keys(oddWaiters).sort().join();
    },
  );

  const lines = (await asRoot("odd", `cat ${oddLog}`)).trim().split("\n");
  const taken = lines.map((line) => JSON.parse(line) as { name: string; message: string });
  for (const name of Object.keys(oddTakers)) {
    const [only, ...more] = taken.filter((each) => each.name === name);
    assert.equal(more.length, 0, name);
    assert.ok(only?.message.endsWith(`\r\n\r\n..${mark} ${name}\r\n`), `${name}: ${only?.message}`);
  }

  let notices: { bytes: string }[] = [];
  const refusals = Object.entries(oddRefusals);
  await until("the notices", async () => (notices = await mails(mark)).length >= refusals.length);
  assert.equal(notices.length, refusals.length);
  for (const [name, { words }] of refusals) {
    const about = notices.filter(({ bytes }) => bytes.includes(`\nSubject: Not delivered: x@${name}.odd.example\n`));
    assert.equal(about.length, 1, name);
    const text = about[0]?.bytes.split("Content-Transfer-Encoding: 8bit\n\n")[1] ?? "";
    assert.ok(text.startsWith(`Your mail did not reach this recipient:\n\nx@${name}.odd.example\n`), text);
    assert.ok(text.includes(words), `${name}: ${text}`);
    assert.doesNotMatch(text, /[^\n\t -~]/, name);
  }
  // What is being sent can't be removed.
  await asRoot("odd", "sv down odd");
  await until("an empty queue", async () => {
    await asRoot("out", "smtpctl remove all >/dev/null 2>&1 || true");
    return (await queue()) === "";
  });
});

test("killed at any moment, each notice comes once", async () => {
  const marks = Array.from({ length: 6 }, () => makeMark());
  for (const mark of marks) {
    const { status, err } = await alice(`shoal send --anyway --to nobody@post.example --subject ${mark} --body text`);
    assert.equal(status, 0, err);
    await asRoot("out", "smtpctl schedule all");
    await killSubmit();
  }
  for (let turn = 0; turn < 8; turn += 1) {
    await asRoot("out", "smtpctl schedule all");
    await sleep(turn * 40);
    await killSubmit();
  }
  // smtpd gives a way that has failed a pause.
  await asRoot("out", "sv restart smtpd");
  await until("smtpd of out", async () => await answers("127.0.0.1", 10_025));
  await untilQueueIsEmpty();
  for (const mark of marks) {
    const { bytes } = await notice(mark);
    assert.match(bytes, /^Subject: Not delivered: nobody@post\.example$/m);
  }
});

test("a certificate that becomes wrong after mail was accepted is named: late at first, then given up", async () => {
  await asRoot(
    "out",
    "cat >> /etc/ssl/certs/ca-certificates.crt",
    await asRoot("post", "cat /etc/mail-tls/certificate.pem"),
  );
  await asRoot("out", "sv restart submit");
  await smtpdWith({ "bounce warn-interval": "4s", "queue ttl": "25s" });
  await until("the way is fine", async () => (await alice("shoal check carol@post.example")).status === 0);
  // Of another name, over its time, and by nobody that is trusted: only the first two can be told once it is trusted.
  const fresh =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -batch -quiet -subj /CN=other.example " +
    "-addext subjectAltName=DNS:other.example -keyout /etc/mail-tls/key.pem -out /etc/mail-tls/certificate.pem";
  await asRoot(
    "post",
    `sv down postfix; postfix stop || true; cd /etc/mail-tls; ${fresh}; chgrp postfix key.pem; chmod 640 key.pem; sv up postfix`,
  );
  await until("Postfix", async () => await answers("mx.post.example", 25));
  const mark = makeMark();
  const strict = await alice(`shoal send --strict --to carol@post.example --subject ${mark} --body 'only protected'`);
  assert.equal(strict.status, 0, strict.err);
  // Trusted, for the wrong name: what shoal-submit saw when it took the mail is not what it says now.
  await asRoot(
    "out",
    "cat >> /etc/ssl/certs/ca-certificates.crt",
    await asRoot("post", "cat /etc/mail-tls/certificate.pem"),
  );
  await asRoot("out", "sv restart submit smtpd");
  let late = "";
  await until("a notice that it is late", async () => {
    await stage().exec("out", ["smtpctl", "schedule", "all"]);
    late = (await mails(mark)).find(({ bytes }) => bytes.includes("Subject: Delayed: "))?.bytes ?? "";
    return late !== "";
  });
  assert.match(late, /^Your mail has not reached this recipient yet, after 4 seconds:$/m);
  assert.match(late, /certificate\s+for\s+another\s+name.*\(certificate-host-mismatch,\s+mx\.post\.example\)/s);
  assert.match(late, /^ {2}ssh \S+ send-anyway carol@post\.example < message\.eml$/m);
  let over = { file: "", bytes: "" };
  await until("a notice that it is given up", async () => {
    await stage().exec("out", ["smtpctl", "schedule", "all"]);
    over = (await mails(mark)).find(({ bytes }) => bytes.includes("Subject: Not delivered: ")) ?? over;
    return over.bytes !== "";
  });
  assert.match(over.bytes, /^Your mail did not reach this recipient within 48 hours:$/m);
  assert.match(over.bytes, /^X-Shoal-Cause: certificate-host-mismatch$/m);
  assert.deepEqual(await atPost(mark), []);
  const again = await alice(`shoal send --again ${over.file} --anyway`);
  assert.equal(again.status, 0, again.err);
  await untilQueueIsEmpty();
  assert.equal((await atPost(mark)).length, 1);
});

test("what is no notice of smtpd's finds no way in, and no way out", async () => {
  const say = async (port: number, lines: readonly string[]): Promise<string> =>
    await asRoot("out", `nc -N -w 5 127.0.0.1 ${port}`, `${["EHLO x", ...lines, "QUIT"].join("\r\n")}\r\n`);
  assert.match(await say(10_029, ["MAIL FROM:<boss@shoal.example>", "RCPT TO:<alice@shoal.example>"]), /^550 5\.7\.1/m);
  assert.match(await say(10_029, ["MAIL FROM:<>", "RCPT TO:<carol@post.example>", "DATA"]), /^550 5\.7\.1/m);
  assert.deepEqual(await atPost("forged"), []);
  // From outside nothing gets to the port at all.
  const { status } = await stage().exec("user", ["nc", "-z", "-w", "3", stage().address("out"), "10029"]);
  assert.notEqual(status, 0);
});

test("of all programs on the machine only what sshd runs for accounts gets to shoal-submit", async () => {
  const reaches = async (user: string): Promise<boolean> =>
    (await stage().exec("out", ["chpst", "-u", user, "nc", "-zU", "/run/submit/socket"])).status === 0;
  assert.match(await asRoot("out", "id alice"), /^uid=20000\(alice\) gid=\d+\(senders\) groups=\d+\(senders\)$/m);
  assert.equal(await reaches("alice:senders"), true);
  for (const user of ["unbound", "opensmtpd", "opensmtpq", "ledger", "nobody"]) {
    assert.equal(await reaches(user), false, user);
  }
});
