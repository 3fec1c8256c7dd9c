import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./build.ts";

test("a word that no file has in its name is a failure, not an empty success", () => {
  const { status, stdout } = spawnSync("node", [join(root, "tools/test-all.ts"), "--flows", "nothing-is-named-so"], {
    encoding: "utf8",
  });
  assert.equal(status, 1);
  assert.equal(stdout.trimEnd().split("\n").at(-1), "0 passed, 1 failed");
});
