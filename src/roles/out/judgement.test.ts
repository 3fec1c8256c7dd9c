import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { HostError, PolicyError } from "#core/errors.ts";
import { SpamJudge } from "./judgement.ts";

const mail = {
  account: "alice",
  envelopeFrom: "alice+work@example.org",
  recipients: ["bob@example.net", "carol@example.net"],
  message: Buffer.from("Subject: hi\r\n\r\nhello\r\n"),
};

interface Asked {
  url: string;
  headers: IncomingHttpHeaders;
  raw: string[];
  body: string;
}

/** What the judge does when rspamd answers so, and what rspamd was asked. */
async function judged(
  answer: (response: ServerResponse) => void,
  seconds = 10,
): Promise<{ asked: Asked[]; error: unknown }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { url = "", headers, rawHeaders: raw } = request;
      asked.push({ url, headers, raw, body: Buffer.concat(chunks).toString("latin1") });
      answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const error = await new SpamJudge({ port, seconds }).judge(mail).then(
      () => null,
      (reason: unknown) => reason,
    );
    return { asked, error };
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function says(value: unknown): (response: ServerResponse) => void {
  return (response) => response.end(typeof value === "string" ? value : JSON.stringify(value));
}

function isTemporary(error: unknown): boolean {
  return error instanceof HostError || (error instanceof PolicyError && error.code === "PACE");
}

test("rspamd is told whose mail it is, from whom and to whom, and gets the message as it is", async () => {
  const { asked, error } = await judged(says({ action: "no action" }));
  assert.equal(error, null);
  assert.equal(asked.length, 1);
  const [{ url, headers, raw, body } = { url: "", headers: {}, raw: [], body: "" }] = asked;
  assert.equal(url, "/checkv2");
  assert.equal(body, mail.message.toString());
  assert.equal(headers["from"], "alice+work@example.org");
  assert.equal(headers["user"], "alice");
  const recipients = raw.filter((_, index) => raw[index - 1] === "Rcpt");
  assert.deepEqual(recipients, mail.recipients);
  assert.deepEqual(
    new Set(Object.keys(headers)),
    new Set(["from", "user", "rcpt", "content-length", "host", "connection"]),
  );
});

test("what would only get a mark leaves", async () => {
  for (const action of ["no action", "greylist", "add header", "rewrite subject"]) {
    assert.equal((await judged(says({ action, score: 8, symbols: {} }))).error, null, action);
  }
});

test("spam is refused with the reasons that weighed most, as printable text", async () => {
  const symbols = {
    GOOD: { score: -3, description: "good" },
    A: { score: 1, description: "a little" },
    B: { score: 9, description: "Suspicious\r\n\u001b[31m words" },
    C: { score: 4 },
    D: { score: 5, description: `long ${"x".repeat(500)}` },
  };
  const { error } = await judged(says({ action: "reject", score: 16, symbols }));
  assert.ok(error instanceof PolicyError);
  assert.equal(error.code, "REFUSED");
  assert.match(
    error.message,
    /^the message looks like spam: Suspicious\?\?\?\[31m words; long x+; C; nothing was sent$/,
  );
  assert.ok(error.message.length < 300);
  const gtube = await judged(says({ action: "reject", symbols: { GTUBE: { score: 0 } } }));
  assert.match(String(gtube.error), /by which spam filters are tried/);
  assert.match(String((await judged(says({ action: "reject" }))).error), /rspamd says so/);
});

test("too much at a time may be sent later, and it says why", async () => {
  const { error } = await judged(says({ action: "soft reject", messages: { smtp_message: "wait 5 minutes" } }));
  assert.ok(error instanceof PolicyError && error.code === "PACE");
  assert.equal(error.message, "wait 5 minutes; nothing was sent");
  assert.ok(isTemporary((await judged(says({ action: "soft reject" }))).error));
});

test("whatever else comes, or nothing, is no judgement: later again", async () => {
  const answers: Record<string, (response: ServerResponse) => void> = {
    "an action that we don't know": says({ action: "discard" }),
    "no JSON": says("<html>"),
    "JSON of another shape": says([1]),
    nothing: says(""),
    "an error of rspamd": (response) => {
      response.statusCode = 500;
      response.end(JSON.stringify({ action: "no action" }));
    },
    "half an answer": (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write('{"action":"no action"}');
      setTimeout(() => response.destroy(), 20);
    },
    "more than anybody wants": (response) => {
      response.end(`{"action":"no action","x":"${"x".repeat(2_000_000)}"}`);
    },
  };
  for (const [name, answer] of Object.entries(answers)) {
    const { error } = await judged(answer);
    assert.ok(isTemporary(error), `${name}: ${String(error)}`);
    assert.match((error as Error).message, /nothing was sent/, name);
  }
  const slow = await judged(() => undefined, 0.2);
  assert.ok(slow.error instanceof HostError && slow.error.code === "TIMEOUT", String(slow.error));
  const dripping = await judged((response) => response.write("{"), 0.2);
  assert.ok(dripping.error instanceof HostError && dripping.error.code === "TIMEOUT", String(dripping.error));
});

test("nobody there: later again", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(new SpamJudge({ port, seconds: 5 }).judge(mail), isTemporary);
});
