/** shoal-submit and the disk of smtpd's queue: smtpd itself does not notice when it is full. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gradesByName, type SubmitStageOptions, startSubmit } from "./submit-stage.ts";

const MAIL = "From: alice@example.org\nTo: bob@example.net\nSubject: hi\n\nhello\n";

test("a disk without room takes nothing, and says so", async () => {
  // A file system of which nothing is ever free.
  const stage = await startSubmit({ config: { queue: "/proc" } });
  try {
    const { status, err } = await stage.submit("alice", "send", MAIL);
    assert.equal(status, 75);
    assert.match(err.join("\n"), /no room for mail now/);
    assert.equal(stage.smtpd.strict.taken.length, 0);
  } finally {
    await stage.stop();
  }
});

test("when the disk can't be looked at behind a mail that smtpd has taken, its sender hears that it may have left", async () => {
  const queue = await mkdtemp(join(tmpdir(), "shoal-queue-"));
  const grader: NonNullable<SubmitStageOptions["grader"]> = {
    async grade(domains) {
      await rm(queue, { recursive: true });
      return await gradesByName.grade(domains);
    },
  };
  const stage = await startSubmit({ grader, config: { queue } });
  try {
    const { status, out } = await stage.submit("alice", "send", MAIL);
    assert.equal(status, 75);
    assert.equal(stage.smtpd.strict.taken.length, 1);
    assert.deepEqual(out, ["perhaps sent to: bob@example.net"]);
  } finally {
    await stage.stop();
    await rm(queue, { recursive: true, force: true });
  }
});
