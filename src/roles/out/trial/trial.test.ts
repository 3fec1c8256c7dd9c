import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { createSecureContext } from "node:tls";
import * as v from "valibot";
import { Resolver } from "../grade/dns.ts";
import { type MessageTask, resultsSchema, tasksSchema } from "./exchange.ts";
import { trialMessage } from "./message.ts";
import { runTasks, type TrialTools } from "./run-tasks.ts";
import { seenAddress } from "./session.ts";
import { openSink } from "./sink.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Says lines to a port, and gives all that comes back until the other side ends it. */
async function say(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let heard = "";
  socket.on("data", (bytes: Buffer) => (heard += bytes.toString("latin1")));
  socket.on("error", () => socket.destroy());
  socket.write(text, "latin1");
  await new Promise((closed) => socket.once("close", closed));
  return heard;
}

const tools: TrialTools = {
  resolver: new Resolver({ address: "127.0.0.1", port: 1, tryMilliseconds: 100, tries: 1 }),
  context: createSecureContext(),
  signer: null,
  taskSeconds: 2,
};

test("a message comes out as it went in: dots, long lines, bytes", async () => {
  const port = await freePort();
  const sink = await openSink(port);
  const body = `Subject: x\r\n\r\n..two dots\r\n.\x80\xff\r\n${"long ".repeat(300)}\r\nmore\r\n`;
  const stuffed = body.replaceAll(/^\./gm, "..");
  sink.expect("a@trial.invalid");
  sink.expect("b@trial.invalid");
  const waiting = Promise.all(["a@trial.invalid", "b@trial.invalid"].map((one) => sink.messageFor(one, 5)));
  const session = `EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@trial.invalid>\r\nRCPT TO:<b@trial.invalid>\r\nDATA\r\n${stuffed}.\r\nQUIT\r\n`;
  assert.match(await say(port, session), /^220 .*354 .*250 ok\r\n221 bye\r\n$/s);
  for (const message of await waiting) assert.equal(message.toString("latin1"), body);
  assert.equal((await sink.messageFor("a@trial.invalid", 1)).toString("latin1"), body, "also later");
  await assert.rejects(sink.messageFor("c@trial.invalid", 0.05), { code: "TIMEOUT" });
  await sink.close();
});

test("a sink holds what it is told for a moment, and no more than it can", async () => {
  const port = await freePort();
  const sink = await openSink(port);
  assert.equal(await say(port, "x".repeat(10_000)), "220 trial\r\n");
  sink.expect("a@trial.invalid");
  const flood = `MAIL FROM:<>\r\nRCPT TO:<a@trial.invalid>\r\nDATA\r\n${"x".repeat(2_000_000)}`;
  assert.doesNotMatch(await say(port, flood), /250 ok\r\n$/);
  await assert.rejects(openSink(port), { code: "NETWORK" });
  await sink.close();
  const again = await openSink(port);
  await again.close();
});

test("what somebody else sends there while a trial goes on is refused, and so comes back to them", async () => {
  const port = await freePort();
  const sink = await openSink(port);
  sink.expect("a@trial.invalid");
  const session =
    "EHLO x\r\nMAIL FROM:<alice@shoal.example>\r\nRCPT TO:<A@trial.invalid>\r\nRCPT TO:<>\r\nDATA\r\nQUIT\r\n";
  assert.equal(
    await say(port, session),
    "220 trial\r\n250 trial\r\n250 ok\r\n550 5.1.1 nobody has this name\r\n550 5.1.1 nobody has this name\r\n503 5.5.1 nobody to send to\r\n221 bye\r\n",
  );
  await sink.close();
});

test("a message of a trial is short, in form, and nobody's", () => {
  const message = trialMessage("shoal.example", "0a@trial.invalid", "0a", new Date("2026-11-22T08:00:00Z"));
  assert.match(message, /^From: Postmaster <postmaster@shoal\.example>\r\nTo: <0a@trial\.invalid>\r\n/);
  assert.match(message, /^Date: Sun, 22 Nov 2026 08:00:00 \+0000\r$/m);
  assert.ok(message.split("\r\n").every((line) => line.length < 80 && !line.startsWith(".") && !/[\r\n]/.test(line)));
  assert.ok(message.endsWith("\r\n"));
});

test("messages go to smtpd and come back by the sink, all at once", async () => {
  const [port, sinkPort] = [await freePort(), await freePort()];
  // In smtpd's place: hands what it gets on to the sink.
  const smtpd = createServer((socket) => {
    socket.write("220 smtpd\r\n");
    let all = "";
    let envelope = "";
    socket.on("data", (bytes: Buffer) => {
      all += bytes.toString("latin1");
      for (let end = all.indexOf("\r\n"); end >= 0 && !all.startsWith("From:"); end = all.indexOf("\r\n")) {
        const line = all.slice(0, end + 2);
        all = all.slice(end + 2);
        envelope += line;
        socket.write(line.startsWith("DATA") ? "354 go on\r\n" : "250 ok\r\n");
      }
      if (!all.endsWith("\r\n.\r\n")) return;
      void say(sinkPort, `${envelope}${all}QUIT\r\n`);
      all = "";
      socket.write("250 ok\r\n");
    });
    socket.on("error", () => socket.destroy());
  }).listen(port, "127.0.0.1");
  await once(smtpd, "listening");
  const sink = { domain: "trial.invalid", port: sinkPort };
  const task: MessageTask = { kind: "message", domain: "shoal.example", heloName: "out.example", port, sink };
  const results = await runTasks([task, task, { kind: "policy", domain: "shoal.example" }], tools);
  smtpd.close();
  assert.ok(v.is(resultsSchema, results));
  assert.deepEqual(
    results.map(({ kind }) => kind),
    ["message", "message", "failed"],
  );
  const texts = results.map((result) =>
    result.kind === "message" ? Buffer.from(result.message, "base64").toString() : "",
  );
  assert.match(texts[0] ?? "", /^From: Postmaster <postmaster@shoal\.example>\r\n/);
  assert.notEqual(texts[0], texts[1], "each has a name of its own");
});

test("what the network does is a result", async () => {
  const session = {
    ...{ kind: "session" as const, from: "127.0.0.1", server: "127.0.0.1", serverName: "in.example" },
    ...{ heloName: "out.example", recipient: "postmaster@a.example" },
  };
  const port = await freePort();
  const message: MessageTask = {
    ...{ kind: "message", domain: "a.example", heloName: "out.example", port },
    sink: { domain: "trial.invalid", port: await freePort() },
  };
  const results = await runTasks([{ kind: "lookup", name: "a.example", type: "MX" }, session, message], tools);
  assert.ok(v.is(resultsSchema, results));
  const [lookup, connection, sent] = results;
  assert.ok(lookup?.kind === "lookup" && lookup.outcome === "failed");
  assert.ok(connection?.kind === "failed" || connection?.kind === "session");
  assert.ok(sent?.kind === "failed" && sent.why.includes("smtpd"));
});

test("tasks that would say something else to a server are refused", () => {
  const session = {
    ...{ kind: "session", from: "192.0.2.1", server: "192.0.2.2", serverName: "in.example", heloName: "out.example" },
    recipient: "postmaster@a.example",
  };
  assert.ok(v.is(tasksSchema, [session]));
  for (const bad of [
    { ...session, recipient: "a@b>\r\nRCPT TO:<c@d" },
    { ...session, heloName: "out\r\nVRFY x" },
    { ...session, serverName: "" },
    { ...session, server: "in.example" },
    { ...session, port: 26 },
    { kind: "lookup", name: "A.example", type: "MX" },
    { kind: "lookup", name: "a.example", type: "ANY" },
    { kind: "shell" },
  ]) {
    assert.ok(!v.is(tasksSchema, [bad]), JSON.stringify(bad));
  }
});

test("where a server says that we come from", () => {
  const seen = (line: string): string | null => seenAddress({ code: 250, lines: [line] });
  assert.equal(seen("in.example Hello out.example [192.0.2.97], pleased to meet you"), "192.0.2.97");
  assert.equal(seen("mx.example at your service"), null);
  assert.equal(seen("x [999.1.1.1]"), null);
  assert.equal(seen("x [IPv6:2001:db8::1]"), null);
});
