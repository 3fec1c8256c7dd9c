/** shoal-submit between the spam filter, the grader and the agent that signs: what one of them refuses leaves no trace. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { gradesByName, type SubmitStage, type SubmitStageOptions, startSubmit } from "./submit-stage.ts";

const MAIL = "From: alice@example.org\nTo: bob@example.net\nSubject: hi\n\nhello\n";

async function withFilter(
  answer: object,
  options: SubmitStageOptions,
  action: (stage: SubmitStage, asked: string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(String(request.headers["user"]));
    request.resume();
    request.on("end", () => response.end(JSON.stringify(answer)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const judge = { port: (server.address() as AddressInfo).port, seconds: 10 };
  const stage = await startSubmit({ ...options, config: { ...options.config, judge } });
  try {
    await action(stage, asked);
  } finally {
    await stage.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function takenBy({ smtpd }: SubmitStage): number {
  return smtpd.strict.taken.length + smtpd.anyway.taken.length + smtpd.dane.taken.length;
}

async function messagesLeft(stage: SubmitStage): Promise<number> {
  const { out } = await stage.submit("alice", "limits --json");
  return (JSON.parse(out[0] ?? "") as { messages: { left: number } }).messages.left;
}

test("spam is refused before anybody's server is looked at, and is not counted", async () => {
  const graded: string[] = [];
  const grader: NonNullable<SubmitStageOptions["grader"]> = {
    async grade(domains) {
      graded.push(...domains);
      return await gradesByName.grade(domains);
    },
  };
  const answer = { action: "reject", symbols: { GTUBE: { score: 0 } } };
  await withFilter(answer, { grader }, async (stage, asked) => {
    for (const command of ["send", "send-anyway"]) {
      const { status, err } = await stage.submit("alice", command, MAIL);
      assert.equal(status, 77);
      assert.match(err[0] ?? "", /^refused: the message looks like spam: .*; nothing was sent$/);
    }
    assert.deepEqual(asked, ["alice", "alice"]);
    assert.deepEqual(graded, []);
    assert.equal(takenBy(stage), 0);
    assert.equal(await messagesLeft(stage), 1000);
  });
});

test("too much at a time is 75, and is not counted", async () => {
  await withFilter({ action: "soft reject", messages: { smtp_message: "too much" } }, {}, async (stage) => {
    const { status, err } = await stage.submit("alice", "", MAIL);
    assert.deepEqual([status, err[0]], [75, "refused: too much; nothing was sent"]);
    const { out } = await stage.submit("alice", "send --json", MAIL);
    assert.deepEqual([JSON.parse(out[0] ?? "").code, JSON.parse(out[0] ?? "").status], ["PACE", 75]);
    assert.equal(takenBy(stage), 0);
    assert.equal(await messagesLeft(stage), 1000);
  });
});

test("a filter that wants fields added gets none: the message leaves as it was", async () => {
  const milter = { add_headers: { "X-Spam": { value: "yes", order: 0 } }, remove_headers: { Subject: 0 } };
  await withFilter({ action: "add header", score: 7, milter }, {}, async (stage) => {
    assert.equal((await stage.submit("alice", "", MAIL)).status, 0);
    const message = stage.smtpd.strict.taken[0]?.message.toString("latin1") ?? "";
    assert.match(message, /^Subject: hi\r$/m);
    assert.doesNotMatch(message, /spam/i);
  });
});

test("where nothing can be signed, nothing leaves, and nothing is counted", async () => {
  const key = { selector: "g1e", algorithm: "ed25519" as const, publicKey: "AAAA" };
  const stage = await startSubmit({ config: { dkim: { agent: join("/nonexistent", "agent"), keys: [key] } } });
  try {
    const { status, err } = await stage.submit("alice", "send-anyway", MAIL);
    assert.equal(status, 75);
    assert.match(err[0] ?? "", /^refused: mail can't be signed for now; nothing was sent/);
    assert.equal(takenBy(stage), 0);
    assert.equal(await messagesLeft(stage), 1000);
    assert.ok(
      stage.log.some((line) => line.startsWith("NETWORK: mail can't be signed")),
      stage.log.join("\n"),
    );
  } finally {
    await stage.stop();
  }
});
