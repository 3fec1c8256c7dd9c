import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { siteMachines } from "#fleet/plan.ts";
import { until } from "#test/until.ts";
import { sendmail, waitForEmptyQueue } from "#test/world/send.ts";
import { smtpDialogue, untilAccepting } from "#test/world/smtp-probe.ts";
import { openStage, type Stage } from "#test/world/stage.ts";
import { post } from "#test/world/world.ts";

let stage: Stage;

before(async () => {
  const changes = [
    ["  in: 1", "  in: 2"],
    ["  fetch: 1", "  fetch: 2"],
  ] as const;
  stage = await openStage({ name: "several", changes });
});

after(async () => {
  await stage?.close();
});

test("two machines of a role: either `in` takes mail for both, and each account's mail is on its own `fetch`", async () => {
  const takers = siteMachines(stage.fleet, "alpha").filter(({ role }) => role === "in");
  assert.deepEqual(
    takers.map(({ name }) => name),
    ["alpha-in", "alpha-in-2"],
  );
  for (const { address, name } of takers) {
    await untilAccepting(address, "bob@shoal.example");
    const [banner] = await smtpDialogue(address, 25, []);
    assert.match(
      banner ?? "",
      name === "alpha-in" ? /^220 in\.mail\.shoal\.example / : /^220 in-2\.mail\.shoal\.example /,
    );
  }

  // With the first one away, a sender goes to the other by MX.
  await stage.exec("alpha-in", ["sv", "down", "front"]);
  const to = ["alice@shoal.example", "bob@shoal.example"];
  await sendmail(
    stage.exec,
    post,
    { from: "carol@post.example", to },
    "From: carol@post.example\nSubject: for two\n\nhello\n",
  );
  await waitForEmptyQueue(stage.exec, post);
  for (const [machine, own, other] of [
    ["alpha-fetch", "alice", "bob"],
    ["alpha-fetch-2", "bob", "alice"],
  ] as const) {
    await until(`mail for ${own} on ${machine}`, async () => {
      const { stdout } = await stage.exec(machine, ["ls", `/srv/mail/${own}/mail`]);
      return /^[0-9a-f]{64}\.age\n$/.test(stdout.toString());
    });
    const { status } = await stage.exec(machine, ["test", "-e", `/srv/mail/${other}`]);
    assert.equal(status, 1, `${machine} knows nothing of ${other}`);
  }
  for (const person of ["alice", "bob"]) {
    const summary = JSON.parse((await stage.as(person, "shoal sync --json")).trim().split("\n").at(-1) ?? "") as {
      stored: number;
    };
    assert.equal(summary.stored, 1);
  }
});
