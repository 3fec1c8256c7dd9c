import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatError, PolicyError } from "#core/errors.ts";
import { refusedAnswer } from "#core/mail/submission/answer.ts";
import { hostileSubmissions, submit } from "./hostile-submissions.ts";

const submissions = hostileSubmissions();

test("the corpus is there", () => {
  assert.ok(submissions.length >= 200, `${submissions.length} attacks`);
});

for (const submission of submissions) {
  test(`refused: ${submission.name}`, () => {
    let refusal: unknown;
    try {
      submit(submission);
    } catch (error) {
      refusal = error;
    }
    assert.ok(
      refusal instanceof FormatError || refusal instanceof PolicyError,
      `accepted or broken: ${String(refusal)}`,
    );
    const { status, lines } = refusedAnswer(refusal, false) ?? { status: -1, lines: [] };
    assert.equal(`${refusal.code} ${status}\n${lines.join("\n")}\n`, submission.expected);
    assert.match(lines.join(""), /^[ -~…]+$/, "an answer is printable whatever was sent");
  });
}
