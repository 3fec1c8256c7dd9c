/** Mail out on real machines: what leaves, what is refused, what a login can do, and what is left behind. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { audit } from "#fleet/accounts/verify-verb.ts";
import { siteMachines } from "#fleet/plan.ts";
import { makeMark } from "#test/marks/marks.ts";
import { describeFindings } from "#test/marks/search.ts";
import { searchStage } from "#test/marks/stage-search.ts";
import { SOON_SECONDS, until } from "#test/until.ts";
import { inbox } from "#test/world/send.ts";
import { asPerson } from "#test/world/stage.ts";
import { post } from "#test/world/world.ts";
import { flowStage } from "./flow-stage.ts";
import { receivedBy, untilAllArrived } from "./mail-flow.ts";

const domain = "shoal.example";
const stage = flowStage({ changes: [["  ledger: 1\n", "  ledger: 1\n  out: 1\n"]] });

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

async function run(person: string, command: string, input = ""): Promise<Ran> {
  const { status, stdout, stderr } = await stage().exec("user", asPerson(person, command), {
    input,
  });
  return { status, out: stdout.toString("latin1"), err: stderr };
}

/** Runs a script as root of a machine, and fails unless it ends with 0. */
async function asRoot(machine: string, script: string, input: Uint8Array | string = ""): Promise<Buffer> {
  const { status, stdout, stderr } = await stage().exec(machine, ["sh", "-ec", script], { input });
  assert.equal(status, 0, stderr);
  return stdout;
}

async function answers(host: string, port: number): Promise<boolean> {
  const greeting = `nc -w 2 ${host} ${port} </dev/null | grep -q ^220`;
  return (await stage().exec("out", ["sh", "-c", greeting])).status === 0;
}

/** Its master outlives the script that runit started. */
async function stopPostfix(): Promise<void> {
  await asRoot("post", "sv down postfix; postfix stop || true");
  await until("no Postfix", async () => !(await answers("mx.post.example", 25)));
}

async function startPostfix(): Promise<void> {
  await asRoot("post", "sv up postfix");
  await until("Postfix", async () => await answers("mx.post.example", 25));
}

async function received(text: string): Promise<string[]> {
  return (await inbox(stage().exec, post)).map((mail) => mail.toString("latin1")).filter((mail) => mail.includes(text));
}

async function queued(): Promise<string> {
  const { status, stdout, stderr } = await stage().exec("out", ["smtpctl", "show", "queue"]);
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1");
}

/** The mail with this text in it, once Postfix has it and `out` has not. */
async function delivered(text: string): Promise<string> {
  await until("the mail", async () => {
    await stage().exec("out", ["smtpctl", "schedule", "all"]);
    return (await received(text)).length > 0 && (await queued()) === "";
  });
  const [mail = "", ...more] = await received(text);
  assert.equal(more.length, 0, "it came once");
  return mail;
}

test("where the certificate is not trusted nothing is sent, and the reason is told", async () => {
  const { status, out, err } = await run("alice", "shoal send --to carol@post.example --body 'not to leave'");
  assert.equal(status, 75);
  assert.equal(out, "tls-problem post.example certificate-not-trusted mx.post.example\n");
  assert.match(err, /post\.example: .*certificate/);
  assert.match(err, /nothing was sent/);
  const checked = await run("alice", "shoal check carol@post.example bob@shoal.example");
  assert.equal(checked.status, 75);
  assert.match(checked.out, /^tls-problem post\.example certificate-not-trusted mx\.post\.example$/m);
  assert.match(checked.out, /^tls internal shoal\.example - -$/m);
  assert.equal(await queued(), "");
  assert.deepEqual(await received("not to leave"), []);
});

test("sent anyway it arrives from the second address, without a trace of its sender's computer", async () => {
  const message = [
    "Received: from laptop.world.example ([192.0.2.77]) by localhost",
    "From: Alice <alice@shoal.example>",
    "To: carol@post.example",
    "Date: Sun, 22 Nov 2026 11:30:00 +0530",
    "Message-ID: <20261122.4711@laptop.world.example>",
    "User-Agent: Tell/1.0",
    "X-Originating-IP: 192.0.2.77",
    "Subject: traces",
    "",
    "without a trace",
    "",
  ].join("\n");
  const { status, out, err } = await run("alice", "shoal send --anyway -", message);
  assert.equal(status, 0, err);
  assert.match(out, /^accepted: 1 recipient/);
  const mail = await delivered("without a trace");
  const own = siteMachines(stage().fleet, stage().fleet.live).find(({ role }) => role === "out");
  assert.ok(mail.includes(`[${own?.secondAddress}]`), mail);
  assert.match(mail, /^Date: Sun, 22 Nov 2026 06:00:00 \+0000$/m);
  // Postfix's own, and one of ours.
  const received = [...mail.matchAll(/^Received: .*(?:\n[ \t].*)*/gm)].map(([field]) => field.replace(/\s+/g, " "));
  assert.equal(received.length, 2, mail);
  assert.match(
    received[1] ?? "",
    /^Received: by out\.mail\.shoal\.example \(OpenSMTPD\) with ESMTP id \w+ for <carol@post\.example>; .* \+0000 \(UTC\)$/,
  );
  assert.match(mail, /^Message-ID: <[0-9a-f]{32}@shoal\.example>$/m);
  const userAddress = stage().fleet.resolver.replace(/\.53$/, ".77");
  for (const trace of ["laptop", "world.example", "192.0.2.77", userAddress, "Tell", "+0530", "4711", "User-Agent"]) {
    assert.ok(!mail.includes(trace), `"${trace}" in ${mail}`);
  }
});

test("mail to an account of the fleet comes through `in`, sealed like any other", async () => {
  const { status, err } = await run("alice", "shoal send --to bob@shoal.example --subject inside --body 'from alice'");
  assert.equal(status, 0, err);
  await until("an empty queue", async () => (await queued()) === "");
  await untilAllArrived(stage());
  const mails = await receivedBy(stage(), "bob");
  assert.equal(mails.filter(({ bytes }) => bytes.includes("from alice")).length, 1);
});

test("nobody sends in another one's name", async () => {
  const forged = await run(
    "alice",
    "shoal send --anyway -",
    "From: bob@shoal.example\nTo: carol@post.example\n\nforged\n",
  );
  assert.equal(forged.status, 77);
  assert.match(forged.err, /bob@shoal\.example/);
  // The same by plain ssh, with what a hostile client would try.
  for (const command of ["send-anyway -f bob@shoal.example", "send-anyway carol@post.example"]) {
    const { status } = await ssh("", command, "From: bob@shoal.example\nTo: carol@post.example\n\nforged\n");
    assert.equal(status, 77, command);
  }
  assert.deepEqual(await received("forged"), []);
});

async function ssh(options: string, command: string, input = ""): Promise<Ran> {
  const login = "ssh -F none -i .config/shoal/default/id_ed25519 -o BatchMode=yes -o ExitOnForwardFailure=yes";
  return await run("alice", `timeout 20 ${login} ${options} alice@out.mail.${domain} ${command}`, input);
}

test("a login is good for sending and for nothing else", async () => {
  const help = await ssh("", "help");
  assert.equal(help.status, 0, help.err);
  assert.match(help.out, /send-anyway/);
  for (const command of ["id", "sh", "'send; id'", "'help && id'", "/bin/sh -c id"]) {
    const { status, out } = await ssh("", command, "id\n");
    assert.equal(status, 64, command);
    assert.ok(!out.includes("uid="), out);
  }
  const shell = await ssh("", "", "id\n");
  assert.equal(shell.status, 65, "what a shell would run is no message");
  assert.ok(!shell.out.includes("uid="));
  const terminal = await ssh("-tt", "id");
  assert.notEqual(terminal.status, 0);
  assert.match(terminal.err, /PTY allocation request failed/);
  const sftp = await ssh("-s", "sftp");
  assert.notEqual(sftp.status, 0);
  assert.equal(sftp.out, "");
  // smtpd would answer there, and takes whatever it is told.
  const smtpd = await stage().exec("out", ["sh", "-c", "printf 'QUIT\\r\\n' | nc -N -w 5 127.0.0.1 10027"]);
  assert.match(smtpd.stdout.toString(), /^220 /);
  const through = await ssh("-W 127.0.0.1:10027", "");
  assert.notEqual(through.status, 0);
  assert.equal(through.out, "");
  assert.notEqual((await ssh("-N -R 12345:127.0.0.1:22", "")).status, 0);
  const forward = await run(
    "alice",
    `ssh -F none -i .config/shoal/default/id_ed25519 -o BatchMode=yes -N -L 12346:127.0.0.1:10027 alice@out.mail.${domain} & ` +
      `sleep 2; timeout 3 bash -c 'cat < /dev/tcp/127.0.0.1/12346'; kill $!`,
  );
  assert.equal(forward.out, "");
  assert.match(forward.err, /administratively prohibited|open failed/);
});

test("a device that was removed sends no more", async () => {
  const last = async (command: string): Promise<string> =>
    (await stage().as("alice", command)).trim().split("\n").at(-1) ?? "";
  const words = await last(
    `shoal init alice@${domain} --host fetch.mail.${domain} --keys-host keys.mail.${domain} --maildir phone --profile phone`,
  );
  const trust = await last(`shoal account add-device '${words}' --yes`);
  await stage().as("alice", `${trust} --profile phone`);
  const limits = `ssh -F none -i .config/shoal/phone/id_ed25519 -o BatchMode=yes alice@out.mail.${domain} limits`;
  await until("the new device may send", async () => (await run("alice", limits)).status === 0, SOON_SECONDS);
  const device = (await stage().as("alice", "ssh-keygen -lf .config/shoal/phone/id_ed25519.pub")).split(" ")[1] ?? "";
  await stage().as("alice", `shoal account remove-device ${device} --yes`);
  await until(
    "the removed one may not",
    async () => {
      const { status, err } = await run("alice", limits);
      return status === 255 && err.includes("Permission denied");
    },
    SOON_SECONDS,
  );
  const { status } = await run("alice", "shoal send --profile phone --anyway --to carol@post.example --body removed");
  assert.notEqual(status, 0);
  assert.equal(await queued(), "");
  assert.deepEqual(await received("removed"), []);
});

async function nothingOf(mark: string): Promise<void> {
  const result = await searchStage(stage(), [mark], "written");
  assert.deepEqual(describeFindings(result), []);
  assert.ok(result.filesSearched > 300, `${result.filesSearched} files searched`);
}

test("no word of a message lies on a disk of ours: not while it waits, nor when it has left", async () => {
  const mark = makeMark();
  await stopPostfix();
  const { status, err } = await run(
    "alice",
    `shoal send --anyway --to carol@post.example --subject ${mark} --body ${mark}`,
  );
  assert.equal(status, 0, err);
  assert.match(await queued(), /carol@post\.example/);
  const { stdout } = await stage().exec("out", ["sh", "-c", "cat /var/spool/smtpd/queue/*/*/message | wc -c"]);
  assert.ok(Number(stdout.toString()) > 100, "the message is in the queue's files");
  await nothingOf(mark);

  assert.match(await queued(), /carol@post\.example/);
  await startPostfix();
  await delivered(mark);
  await nothingOf(mark);
  const planted = makeMark();
  const plant = ["sh", "-c", "cat > /var/spool/smtpd/queue/planted"];
  await stage().exec("out", plant, { input: `some text ${planted} more` });
  assert.ok(
    (await searchStage(stage(), [planted], "written")).hits.some((hit) => hit.mark === planted),
    "the search finds",
  );
  await stage().exec("out", ["rm", "/var/spool/smtpd/queue/planted"]);
});

test("with a certificate that is trusted it is sent strictly; strict mail waits where weak mail leaves", async () => {
  const certificate = await asRoot("post", "cat /etc/mail-tls/certificate.pem");
  await asRoot("out", "cat >> /etc/ssl/certs/ca-certificates.crt; sv restart smtpd submit", certificate);
  const send = async (options: string): Promise<Ran> =>
    await run("alice", `shoal send --strict --to carol@post.example ${options}`);
  await until("the way is fine", async () => (await run("alice", "shoal check carol@post.example")).status === 0);
  const strict = await send("--body 'strictly sent'");
  assert.equal(strict.status, 0, strict.err);
  const own = siteMachines(stage().fleet, stage().fleet.live).find(({ role }) => role === "out");
  assert.ok((await delivered("strictly sent")).includes(`[${own?.address}]`));

  // The grade is remembered for a minute; now the server shows another certificate.
  const fresh =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -batch -quiet -subj /CN=mx.post.example " +
    "-addext subjectAltName=DNS:mx.post.example -keyout /etc/mail-tls/key.pem -out /etc/mail-tls/certificate.pem";
  await stopPostfix();
  await asRoot("post", `cd /etc/mail-tls; ${fresh}; chgrp postfix key.pem; chmod 640 key.pem`);
  await startPostfix();
  const waiting = await send("--body 'strict and waiting'");
  assert.equal(waiting.status, 0, waiting.err);
  await until("smtpd has looked at the certificate", async () => {
    const log = (await asRoot("out", "smtpctl schedule all >&2; cat /run/log/smtpd/current")).toString();
    return log.includes("certificate verification failed");
  });
  await asRoot("out", "sv restart submit");
  await until("shoal-submit is back", async () => (await ssh("", "limits")).status === 0);
  const weak = await run("alice", "shoal send --anyway --to carol@post.example --body 'weak and quick'");
  assert.equal(weak.status, 0, weak.err);
  await until("the weak mail", async () => (await received("weak and quick")).length === 1);
  assert.deepEqual(await received("strict and waiting"), []);
  assert.equal((await queued()).trim().split("\n").length, 1);
  await asRoot("out", "smtpctl remove all");
});

test("what `out` has of accounts is what the chains give", async () => {
  assert.deepEqual(await audit(stage().fleet, await stage().operator()), []);
});
