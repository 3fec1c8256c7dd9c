/** The vectors in `test/vectors/mailbox`, which a second implementation may be held against. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { wordsOf } from "#test/mailbox/scene.ts";
import { vectors } from "#test/vectors/mailbox/make.ts";
import { auditFiles, parseScript } from "#test/vectors/mailbox/script.ts";
import { mailName } from "./entry.ts";
import { type AuditMemory, parseMemory, printMemory } from "./memory.ts";

const FOLDER = join(import.meta.dirname, "../../../test/vectors/mailbox");

function names(): string[] {
  return ["accept", "reject"].flatMap((folder) => readdirSync(join(FOLDER, folder)).map((name) => `${folder}/${name}`));
}

describe("vectors", () => {
  for (const path of names()) {
    test(path, () => {
      const memories = new Map<string, AuditMemory>();
      let [looks, found] = [0, 0];
      for (const { device, time, expected, files, roots } of parseScript(readFileSync(join(FOLDER, path)))) {
        const result = auditFiles(files, roots, memories.get(device) ?? null, time);
        memories.set(device, parseMemory(printMemory(result.memory)));
        assert.deepEqual(wordsOf(result), expected.findings, `look ${device} ${time}`);
        assert.deepEqual(result.mayOpen.map(mailName).sort(), expected.opens, `look ${device} ${time}`);
        looks += 1;
        found += expected.findings.length;
      }
      assert.ok(looks > 1);
      assert.equal(found > 0, path.startsWith("reject/"), "accept holds what nothing is wrong with");
    });
  }

  test("are what their generator makes", () => {
    const made = vectors();
    assert.deepEqual(names().sort(), [...made.keys()].sort());
    for (const [path, content] of made) assert.ok(readFileSync(join(FOLDER, path)).equals(content), path);
  });
});
