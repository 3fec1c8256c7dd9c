import assert from "node:assert/strict";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { HostError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";
import { dotStuffed } from "#test/corpus/dot-stuffing.ts";
import { inbox, queue, type RunOnMachine, sendmail, submit, submitAll, waitForEmptyQueue } from "./send.ts";
import { eximDeliveries, eximQueue, postfixDeliveries, postfixQueue } from "./stranger-log.ts";
import { exim, post } from "./world.ts";

function answering(stdout: string | Buffer, status = 0): { run: RunOnMachine; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const run: RunOnMachine = (machine, command, options) => {
    calls.push([machine, command, options]);
    return Promise.resolve({ status, stdout: Buffer.from(stdout), stderr: "why not" });
  };
  return { run, calls };
}

/** The receiver's half of RFC 5321, section 4.5.2. */
function received(data: string): string {
  const lines = data.split("\r\n");
  const end = lines.indexOf(".");
  assert.equal(end, lines.length - 2, "the final dot is the last line");
  return lines
    .slice(0, end)
    .map((line) => `${line.startsWith(".") ? line.slice(1) : line}\r\n`)
    .join("");
}

test("dot-stuffing: a receiver gets the same lines back, whatever is in them", () => {
  const line = fc.oneof(fc.constantFrom(".", "..", ".x", "...", ""), fc.stringMatching(/^[ -~]{0,20}$/));
  fc.assert(
    fc.property(fc.array(line, { minLength: 1 }), (lines) => {
      const message = `${lines.join("\r\n")}\r\n`;
      assert.equal(received(dotStuffed(Buffer.from(message)).toString()), message);
    }),
  );
  assert.equal(dotStuffed(Buffer.from("")).toString(), ".\r\n");
  assert.equal(dotStuffed(Buffer.from("no end")).toString(), "no end\r\n.\r\n");
  assert.deepEqual(dotStuffed(Buffer.from([0xff, 0x0d, 0x0a])), Buffer.from([0xff, 0x0d, 0x0a, 0x2e, 0x0d, 0x0a]));
});

test("submit speaks SMTP to the machine's own port and gives the queue id", async () => {
  const said =
    "220 hello\r\n250-PIPELINING\r\n250 HELP\r\n250 2.1.0 Ok\r\n354 go\r\n250 2.0.0 Ok: queued as 4F1CC306\r\n";
  const { run, calls } = answering(said);
  const id = await submit(
    run,
    post,
    { from: "a@post.example", to: ["b@x.example", "c@x.example"] },
    Buffer.from(".\r\n"),
  );
  assert.equal(id, "4F1CC306");
  const [machine, , options] = calls[0] ?? [];
  assert.equal(machine, "post");
  assert.equal(
    String((options as { input: Buffer }).input),
    "EHLO localhost\r\nMAIL FROM:<a@post.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n..\r\n.\r\nQUIT\r\n",
  );
});

test("several mails in one session, Exim's ids; a refusal or a missing id is an error", async () => {
  const mail = { envelope: { from: "", to: ["b@x.example"] }, message: Buffer.from("x") };
  const both = "250 OK id=1xUx2O-0000000000H-1PaH\r\n250 OK id=1xUx2O-0000000000L-1vPM\r\n221 bye\r\n";
  assert.deepEqual(await submitAll(answering(both).run, exim, [mail, mail]), [
    "1xUx2O-0000000000H-1PaH",
    "1xUx2O-0000000000L-1vPM",
  ]);
  await assert.rejects(submitAll(answering(both).run, exim, [mail, mail, mail]), { code: "NETWORK" });
  await assert.rejects(submitAll(answering(`${both}550 no\r\n`).run, exim, [mail, mail]), HostError);
  await assert.rejects(submit(answering("").run, exim, mail.envelope, mail.message), HostError);
});

test("sendmail gets the envelope as arguments that can't be options", async () => {
  const { run, calls } = answering("");
  await sendmail(run, post, { from: "a@post.example", to: ["b@x.example"] }, "Subject: x\n\n");
  assert.deepEqual(calls[0]?.[1], ["sendmail", "-f", "a@post.example", "-i", "--", "b@x.example"]);
  await assert.rejects(sendmail(answering("", 75).run, post, { from: "", to: [] }, ""), /why not/);
});

test("an emptying queue is waited for, one that stays is an error that shows the log", async () => {
  const outputs = ['{"queue_id": "AB"}\n', '{"queue_id": "AB"}\n', ""];
  const emptying: RunOnMachine = () =>
    Promise.resolve({ status: 0, stdout: Buffer.from(outputs.shift() ?? ""), stderr: "" });
  await waitForEmptyQueue(emptying, post, { timeoutSeconds: 10, pauseSeconds: 0.001 });
  assert.deepEqual(outputs, []);
  await assert.rejects(
    waitForEmptyQueue(answering('{"queue_id": "AB"}\n').run, post, { timeoutSeconds: 0.01, pauseSeconds: 0.001 }),
    {
      code: "TIMEOUT",
    },
  );
  await assert.rejects(queue(answering("", 1).run, exim), HostError);
});

test("queue listings", () => {
  assert.deepEqual(postfixQueue(""), []);
  assert.deepEqual(postfixQueue('{"queue_name": "deferred", "queue_id": "A450F1A00F2"}\n{"queue_id": "B1"}\n'), [
    "A450F1A00F2",
    "B1",
  ]);
  const listing = ` 4m  1.2K 1xUxBH-0000000001E-3G3n <al@exim.example>
          nobody@shoal.example

 2h   317 1xUxBH-0000000001H-3P0v <> *** frozen ***
        D done@shoal.example

`;
  assert.deepEqual(eximQueue(listing), ["1xUxBH-0000000001E-3G3n", "1xUxBH-0000000001H-3P0v"]);
  assert.deepEqual(eximQueue(""), []);
});

test("tries in Postfix's log", () => {
  const log = `Nov 22 02:19:48 mx postfix/qmgr[174]: A4: from=<al@post.example>, size=262, nrcpt=1 (queue active)
Nov 22 02:19:48 mx postfix/smtp[192]: AD5: to=<no@nowhere.example>, relay=none, delay=0.01, delays=0/0.01/0/0, dsn=5.4.4, status=bounced (Host or domain name not found)
Nov 22 02:19:48 mx postfix/smtp[186]: A4: to=<x@exim.example>, orig_to=<y@post.example>, relay=mx.exim.example[10.99.0.26]:25, delay=0.11, delays=0.01/0.03/0.07/0, dsn=2.0.0, status=sent (250 OK id=1xUxBE-0000000000u-3214)
Nov 22 02:19:49 mx postfix/smtp[186]: A5: to=<z@x.example>, relay=in[10.0.0.1]:25, delay=1, delays=1/0/0/0, dsn=4.3.0, status=deferred (host in[10.0.0.1] said: 451 4.3.0 later (in reply to end of DATA command))
`;
  assert.deepEqual(postfixDeliveries(log), [
    { id: "AD5", to: "no@nowhere.example", status: "bounced", reason: "Host or domain name not found" },
    { id: "A4", to: "x@exim.example", status: "sent", reason: "250 OK id=1xUxBE-0000000000u-3214" },
    {
      id: "A5",
      to: "z@x.example",
      status: "deferred",
      reason: "host in[10.0.0.1] said: 451 4.3.0 later (in reply to end of DATA command)",
    },
  ]);
});

test("tries in Exim's log", () => {
  const log = `2026-11-22 02:19:51 1xA-0-0 <= al@exim.example H=(localhost) [127.0.0.1] P=esmtp S=207
2026-11-22 02:19:51 1xA-0-0 => x@post.example R=world T=world H=mx.post.example [10.99.0.25] X=TLS1.3:AES CV=no K C="250 2.0.0 Ok: 217 bytes queued as 9695A1A0110"
2026-11-22 02:19:51 1xA-0-0 -> y <y@exim.example> R=inbox T=inbox
2026-11-22 02:19:51 1xA-0-0 == z@x.example R=world T=world defer (-45) H=in [10.0.0.1]: SMTP error from remote mail server after MAIL FROM: 451 later
2026-11-22 02:19:51 1xA-0-0 ** nobody@nowhere.example: Unrouteable address
2026-11-22 02:19:51 1xA-0-0 Completed
`;
  assert.deepEqual(
    eximDeliveries(log).map(({ to, status }) => [to, status]),
    [
      ["x@post.example", "sent"],
      ["y@exim.example", "sent"],
      ["z@x.example", "deferred"],
      ["nobody@nowhere.example", "bounced"],
    ],
  );
  assert.equal(eximDeliveries(log)[0]?.reason, "250 2.0.0 Ok: 217 bytes queued as 9695A1A0110");
});

test("an inbox is read whole, oldest first, whatever the bytes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shoal-inbox-"));
  try {
    const mails = [Buffer.from("b\n"), Buffer.from([0, 0xff, 0x0a, 0x0a, 0x31, 0x0a]), Buffer.from("")];
    for (const [index, mail] of mails.entries()) {
      const path = join(folder, `mail.${9 - index}`);
      await writeFile(path, mail);
      await utimes(path, 1000 + index, 1000 + index);
    }
    const run: RunOnMachine = (_, command, options) =>
      exec(command[0] ?? "", [...command.slice(1, -1), folder], options ?? {});
    assert.deepEqual(await inbox(run, post), mails);
    const nowhere: RunOnMachine = (_, command) => exec(command[0] ?? "", [...command.slice(1, -1), `${folder}/none`]);
    assert.deepEqual(await inbox(nowhere, post), []);
  } finally {
    await rm(folder, { recursive: true });
  }
});
