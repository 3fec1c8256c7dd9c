/** What leaves is signed so that implementations which are not ours believe it, and is asked for spam before; on real machines. */

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { networkFolder } from "#fleet/cell/places.ts";
import { tryExec } from "#host/exec.ts";
import { makeMark } from "#test/marks/marks.ts";
import { describeFindings } from "#test/marks/search.ts";
import { searchStage } from "#test/marks/stage-search.ts";
import { until } from "#test/until.ts";
import { eximLog } from "#test/world/exim.ts";
import { inbox } from "#test/world/send.ts";
import { asPerson } from "#test/world/stage.ts";
import { exim, post } from "#test/world/world.ts";
import { flowStage } from "./flow-stage.ts";

const domain = "shoal.example";
const stage = flowStage({
  people: ["alice", "bob"],
  changes: [["  ledger: 1\n", "  ledger: 1\n  out: 1\n  spam-out: 1\n"]],
  userPackages: ["perl-dkim-verifier"],
});

/** Every rspamd takes it for spam (its documentation, "GTUBE"). */
const GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

async function send(person: string, message: string | Buffer, command = "send-anyway"): Promise<Ran> {
  const key = `-i .config/shoal/default/id_ed25519 -o BatchMode=yes`;
  const line = `ssh -F none ${key} ${person}@out.mail.${domain} ${command}`;
  const { status, stdout, stderr } = await stage().exec("user", asPerson(person, line), {
    input: message,
  });
  return { status, out: stdout.toString("latin1"), err: stderr };
}

async function asRoot(machine: string, script: string, input: Uint8Array | string = ""): Promise<string> {
  const { status, stdout, stderr } = await stage().exec(machine, ["sh", "-ec", script], { input });
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1");
}

async function fails(machine: string, script: string): Promise<boolean> {
  return (await stage().exec(machine, ["sh", "-c", script])).status !== 0;
}

async function queued(): Promise<string> {
  return await asRoot("out", "smtpctl show queue");
}

/** Mail with this text that came to one of the strangers, once there is so much of it. */
async function arrived(text: string, count = 1, stranger = post): Promise<Buffer[]> {
  let mails: Buffer[] = [];
  await until(`mail with "${text}"`, async () => {
    mails = (await inbox(stage().exec, stranger)).filter((mail) => mail.includes(text));
    return mails.length >= count;
  });
  return mails;
}

interface Verdicts {
  /** dkimpy's, of each signature. */
  dkimpy: boolean[];
  /** Mail::DKIM's, `SELECTOR ALGORITHM DOMAIN RESULT`. */
  perl: string[];
}

const pythonVerifier = `
import base64, json, sys, dkim
def verdict(mail, index):
    try: return bool(dkim.DKIM(mail).verify(idx=index))
    except dkim.DKIMException: return False
for line in sys.stdin:
    mail = base64.b64decode(line)
    print(json.dumps([verdict(mail, index) for index in (0, 1)]))
`;

const perlVerifier = `use Mail::DKIM::Verifier; use MIME::Base64;
while (my $line = <STDIN>) {
  my $verifier = Mail::DKIM::Verifier->new(); $verifier->PRINT(decode_base64($line)); $verifier->CLOSE;
  print join(",", map { join(" ", $_->selector, $_->algorithm, $_->domain, $_->result) } $verifier->signatures), "\n";
}`;

/** Looks the keys up in the test internet's DNS, as any receiver does. */
async function verdicts(mails: readonly Buffer[]): Promise<Verdicts[]> {
  const wire = mails.map((mail) => Buffer.from(mail.toString("latin1").replaceAll(/\r?\n/g, "\r\n"), "latin1"));
  const input = wire.map((mail) => `${mail.toString("base64")}\n`).join("");
  const lines = async (...command: string[]): Promise<string[]> => {
    const { status, stdout, stderr } = await stage().exec("user", command, { input });
    assert.equal(status, 0, stderr);
    return stdout.toString("latin1").trim().split("\n");
  };
  const python = await lines("python3", "-c", pythonVerifier);
  const perl = await lines("perl", "-e", perlVerifier);
  assert.deepEqual([python.length, perl.length], [mails.length, mails.length]);
  return python.map((line, index) => ({
    dkimpy: JSON.parse(line) as boolean[],
    perl: (perl[index] ?? "").split(","),
  }));
}

function good(generation: number): Verdicts {
  const perl = [`g${generation}r rsa-sha256 ${domain} pass`, `g${generation}e ed25519-sha256 ${domain} pass`];
  return { dkimpy: [true, true], perl };
}

/** What an rspamd that is a receiver's makes of a mail that somebody forwarded: its symbols with their options. */
async function receiverSays(mail: Buffer): Promise<Map<string, string[]>> {
  // It asks no further where the last server has a private address, as all machines here do.
  const ask = `rspamc -h 127.0.0.1:11333 --json --ip 203.0.113.9 --helo forwarder.example --from alice@${domain}`;
  const said = await asRoot("spam-in", ask, mail);
  const { symbols } = JSON.parse(said.slice(said.indexOf("{"))) as { symbols: Record<string, { options?: string[] }> };
  return new Map(Object.entries(symbols).map(([name, { options }]) => [name, options ?? []]));
}

function message(subject: string, body: string, more = ""): string {
  return `From: Alice <alice@${domain}>\nTo: carol@post.example, dave@exim.example\nSubject: ${subject}\n${more}\n${body}`;
}

test("whatever is sent, two signatures arrive whole, for receivers of every kind", async () => {
  const eightBit = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n";
  const multipart = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="here"\n';
  const messages: Record<string, string> = {
    plain: message("signed-plain", "some words\n"),
    dots: message("signed-dots", ".\n..\n. a dot\nFrom the start\n"),
    "eight bits": message("signed-8bit", "größer: äöü \u2026 \u{1f41f}\n", eightBit),
    "long lines": message("signed-long", `${"x".repeat(998)}\n${"word ".repeat(199)}\n`),
    "blanks and empty lines": message("signed-blanks", "blanks  behind \t \n \n\t\n\nend\n\n\n\n"),
    "no body": message("signed-empty", ""),
    "a folded subject": message(
      `signed-folded ${"and  more words ".repeat(20)}\n =?utf-8?q?gr=C3=BC=C3=9Fe?=`,
      "words\n",
    ),
    attachments: message(
      "signed-parts",
      `--here\nContent-Type: text/plain\n\nsee there\n--here\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n${"JVBERi0xLjQK".repeat(6)}\n--here--\n`,
      multipart,
    ),
  };
  for (const [name, text] of Object.entries(messages)) {
    const { status, err } = await send("alice", text);
    assert.equal(status, 0, `${name}: ${err}`);
  }
  for (const stranger of [post, exim]) {
    const mails = await arrived("Subject: signed-", Object.keys(messages).length, stranger);
    assert.equal(mails.length, Object.keys(messages).length);
    for (const [index, verdict] of (await verdicts(mails)).entries()) {
      assert.deepEqual(verdict, good(1), String(mails[index]));
    }
  }
  // Exim has judged by itself when it took them.
  const log = await asRoot("exim", `cat ${eximLog}`);
  const taken = log.split("\n").filter((line) => line.includes(` <= alice@${domain} `));
  assert.equal(taken.length, Object.keys(messages).length);
  for (const line of taken) assert.ok(line.includes(` DKIM=${domain} `), line);
});

test("DMARC holds by the signatures alone, as behind a forwarder", async () => {
  const [mail] = await arrived("Subject: signed-plain");
  assert.ok(mail !== undefined);
  const symbols = await receiverSays(mail);
  assert.deepEqual(symbols.get("R_DKIM_ALLOW"), [`${domain}:s=g1r`, `${domain}:s=g1e`]);
  assert.ok(!symbols.has("R_SPF_ALLOW"), [...symbols.keys()].join(" "));
  assert.ok(symbols.has("DMARC_POLICY_ALLOW"), [...symbols.keys()].join(" "));
});

test("a second From, Subject, or other words: nobody believes it", async () => {
  const [mail] = await arrived("Subject: signed-plain");
  assert.ok(mail !== undefined);
  const text = mail.toString("latin1");
  const attacks = [
    `From: eve@${domain}\n${text}`,
    `Subject: another\n${text}`,
    `Reply-To: eve@evil.example\n${text}`,
    `Content-Type: text/html\n${text}`,
    text.replace("\n\n", `\nFrom: eve@${domain}\n\n`),
    text.replace("some words", "other words"),
    `${text}and more\n`,
  ].map((attack) => Buffer.from(attack, "latin1"));
  for (const [index, { dkimpy, perl }] of (await verdicts(attacks)).entries()) {
    assert.deepEqual(dkimpy, [false, false], `attack ${index}`);
    assert.equal(perl.filter((line) => line.endsWith(" fail")).length, 2, `attack ${index}: ${perl.join(", ")}`);
  }
  const symbols = await receiverSays(attacks[0] ?? Buffer.alloc(0));
  assert.ok(!symbols.has("R_DKIM_ALLOW") && !symbols.has("DMARC_POLICY_ALLOW"), [...symbols.keys()].join(" "));
});

test("what leaves has the fields of the message, and none of a filter's", async () => {
  const [mail] = await arrived("Subject: signed-plain");
  const header = mail?.toString("latin1").split("\n\n", 1)[0] ?? "";
  const names = [...header.matchAll(/^([!-9;-~]+):/gm)].map(([, name]) => name);
  const added = ["Return-Path", "X-Original-To", "Delivered-To", "Received"];
  const fields = ["Received", "DKIM-Signature", "DKIM-Signature", "Date", "From", "To", "Message-ID", "Subject"];
  assert.deepEqual(names, [...added, ...fields]);
  // Of its sender only the domain stands in the signatures.
  for (const line of header.split("\n")) if (line.startsWith("DKIM-Signature")) assert.ok(!line.includes("i="));
});

test("root of `out` alone reads the keys, and no program there gets them from the agent", async () => {
  const keys = (await asRoot("out", "ls /etc/shoal/dkim")).trim().split("\n");
  assert.deepEqual(keys, ["g1e", "g1r"]);
  for (const user of ["shoal-submit", "shoal-spam", "unbound", "opensmtpd", "alice"]) {
    assert.ok(await fails("out", `chpst -u ${user} cat /etc/shoal/dkim/g1e`), user);
    assert.ok(await fails("out", `chpst -u ${user} cat /proc/$(pidof ssh-agent)/mem`), user);
    assert.ok(await fails("out", `chpst -u ${user} cat /proc/$(pidof ssh-agent)/environ`), user);
  }
  const ask = "SSH_AUTH_SOCK=/run/signer/agent ssh-add -l";
  assert.match(await asRoot("out", `chpst -u shoal-submit env ${ask}`), /dkim\/g1r \(RSA\)\n.*dkim\/g1e \(ED25519\)\n/);
  for (const user of ["shoal-spam", "unbound", "opensmtpd", "alice"]) {
    assert.ok(await fails("out", `chpst -u ${user} env ${ask}`), user);
  }
});

test("spam is refused to its sender, with the reason, and nothing has left", async () => {
  const before = (await inbox(stage().exec, post)).length;
  for (const command of ["send-anyway", "send-anyway --json", "send"]) {
    const { status, out, err } = await send("alice", message("signed-spam", `${GTUBE}\n`), command);
    assert.equal(status, 77, command);
    assert.match(out + err, /looks like spam: it holds the text by which spam filters are tried.*nothing was sent/);
  }
  assert.equal(await queued(), "");
  assert.equal((await inbox(stage().exec, post)).length, before);
});

test("a spam filter, or its way, that is away: nothing is lost, and later it goes", async () => {
  const text = message("signed-later", "later\n");
  for (const [machine, service] of [
    ["spam-out", "rspamd"],
    ["spam-out", "sshd"],
    ["out", "spam-tunnel"],
    ["out", "signer"],
  ] as const) {
    // Sessions outlive the program that listens.
    await asRoot(machine, `sv down ${service}; ${service === "sshd" ? "pkill -KILL -u rspamd-link || true" : ""}`);
    const { status, err } = await send("alice", text);
    assert.equal(status, 75, `without ${service}: ${err}`);
    assert.match(err, /nothing was sent/);
    await asRoot(machine, `sv up ${service}`);
    await until(`${service} again`, async () => (await send("alice", text.replace("later", service))).status === 0);
    await arrived(`Subject: signed-${service}`);
  }
  assert.equal((await inbox(stage().exec, post)).filter((mail) => mail.includes("signed-later")).length, 0);
});

/** Whether a machine gets a connection; what the firewall drops is not answered at all. */
async function reaches(machine: string, host: string, port: number): Promise<boolean> {
  return !(await fails(machine, `timeout 4 bash -c '</dev/tcp/${host}/${port}'`));
}

test("the filter's machine reaches nobody, and its rspamd can't be reached but over the link", async () => {
  const own = stage().address("spam-out");
  assert.ok(await reaches("out", own, 22), "the link is there");
  assert.ok(await reaches("spam-out", "127.0.0.1", 11_333), "rspamd is there");
  const { resolver } = stage().fleet;
  const forbidden: [string, string, number][] = [
    ["spam-out", resolver, 53],
    ["spam-out", stage().address("out"), 22],
    ["spam-out", stage().address("fetch"), 22],
    ["out", own, 11_333],
    ["in", own, 22],
    ["in", own, 11_333],
  ];
  const found = await Promise.all(forbidden.map(([machine, host, port]) => reaches(machine, host, port)));
  assert.deepEqual(
    forbidden.filter((_, index) => found[index]),
    [],
  );
});

test("no word of a message that was judged, signed and sent lies on a disk of ours", async () => {
  const mark = makeMark();
  const { status, err } = await send("alice", message(mark, `${mark}\n`));
  assert.equal(status, 0, err);
  await arrived(mark);
  const result = await searchStage(stage(), [mark], "written");
  assert.deepEqual(describeFindings(result), []);
  assert.ok(result.filesSearched > 300, `${result.filesSearched} files searched`);
});

/** What scores for what it says; GTUBE ends the judgement before anything is counted. */
function realSpam(): string {
  const subject = `YOUR PASSWORD WAS STOLEN, PAY NOW ${"OR ALL YOUR FRIENDS SEE THE VIDEO!!! ".repeat(6)}`;
  const date = new Date(Date.now() + 3 * 86_400_000).toUTCString().replace("GMT", "+0000");
  const body = `<html><body><a href="http://192.0.2.4/x.exe">http://bank.example</a> 1000 USD to 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2
<form action="data:text/html;base64,xxxx"><input type=password></form></body></html>\n`;
  return message(subject, body, `Date: ${date}\nMIME-Version: 1.0\nContent-Type: text/html; charset=us-ascii\n`);
}

test("who is refused again and again sends nothing for a while, and others go on", async () => {
  let refused = 0;
  await until("too much at a time", async () => {
    const { status, err } = await send("alice", realSpam());
    if (status === 77) refused++;
    else assert.match(err, /too much mail from this account in a short time: wait [0-9]+ minutes; nothing was sent/);
    return status === 75;
  });
  assert.ok(refused >= 5 && refused <= 10, `${refused} refused`);
  assert.equal((await send("alice", message("signed-now", "words\n"))).status, 75);
  const { status, err } = await send("bob", message("signed-bob", "words\n").replaceAll(/alice/gi, "bob"));
  assert.equal(status, 0, err);
  await arrived("Subject: signed-bob");
  assert.equal((await inbox(stage().exec, post)).filter((mail) => mail.includes("PASSWORD")).length, 0);
});

async function shoalctl(...args: readonly string[]): Promise<{ status: number | null; out: string; err: string }> {
  const main = new URL("../../src/fleet/main.ts", import.meta.url).pathname;
  const all = [main, ...args, "--fleet", stage().fleetFile];
  const { status, stdout, stderr } = await tryExec(process.execPath, all, { timeoutSeconds: 300 });
  return { status, out: stdout.toString("utf8"), err: stderr };
}

interface Listed {
  name: string;
  use: string;
  txt: string;
}

async function listed(): Promise<Listed[]> {
  const { status, out, err } = await shoalctl("dkim", "list", "--json");
  assert.equal(status, 0, err);
  return JSON.parse(out) as Listed[];
}

test("keys are rolled without a gap: the next ones are known already, and the ones before still", async () => {
  const before = await listed();
  assert.deepEqual(
    before.map(({ name, use }) => `${use} ${name.split(".", 1)[0]}`),
    ["current g1r", "current g1e", "next g2r", "next g2e"],
  );
  const rolled = await shoalctl("dkim", "roll");
  assert.equal(rolled.status, 0, rolled.err);
  assert.deepEqual(await stage().up(), ["alpha-out"]);
  await until("the machine", async () => (await send("bob", "", "limits")).status === 0);
  const mail = message("signed-rolled", "words\n").replaceAll(/alice/gi, "bob");
  await until("the spam filter", async () => (await send("bob", mail)).status === 0);
  const [now] = await arrived("Subject: signed-rolled");
  const [old] = await arrived("Subject: signed-bob");
  assert.ok(now !== undefined && old !== undefined);
  assert.deepEqual(await verdicts([now, old]), [good(2), good(1)]);

  const after = await listed();
  const texts = new Map(before.map(({ name, txt }) => [name, txt]));
  for (const { name, use, txt } of after) if (use !== "next") assert.equal(txt, texts.get(name), `${use} ${name}`);
  assert.deepEqual((await asRoot("out", "ls /etc/shoal/dkim")).trim().split("\n"), ["g2e", "g2r"]);
  const secrets = await readdir(`${networkFolder(stage().fleet.name)}/secrets`);
  assert.ok(!secrets.includes("dkim_g1r") && !secrets.includes("dkim_g1e"), "what signs no more is gone");
});

test("rolled again at once they would leave mail behind: refused, unless the keys are in wrong hands", async () => {
  const again = await shoalctl("dkim", "roll");
  assert.notEqual(again.status, 0);
  assert.match(again.err, /rolled less than 5 days ago/);
  const revoked = await shoalctl("dkim", "roll", "--revoke");
  assert.equal(revoked.status, 0, revoked.err);
  assert.match(revoked.err, /generation [0-9]+ is revoked by its new record/);
  const previous = (await listed()).filter(({ use }) => use === "previous");
  assert.deepEqual(
    previous.map(({ name, txt }) => `${name.split(".", 1)[0]} ${txt}`),
    ["g2r v=DKIM1; k=rsa; p=", "g2e v=DKIM1; k=ed25519; p="],
  );
});
