import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tryExec } from "#host/exec.ts";
import { bundle } from "./build.ts";

/** What an old Node is, as far as a program asks. */
const asOldNode = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"20.19.2"}})';

test("programs that people start name a Node that is too old, before it fails at what it lacks", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shoal-build-"));
  try {
    for (const name of ["shoal", "shoalctl"]) {
      const { path } = await bundle(name, folder);
      const { status, stderr } = await tryExec(process.execPath, ["--import", asOldNode, path, "--help"]);
      assert.equal(stderr, `${name}: error: this is Node 20.19.2, expected 24.12 or later\n`);
      assert.equal(status, 78);
      // All others would be looked for, and missed, before that.
      const imports = (await readFile(path, "utf8")).match(/^import\b.*$/gm);
      assert.deepEqual(imports, ['import { createRequire as shoalRequire } from "node:module";']);
      assert.equal((await tryExec(process.execPath, [path, "--help"])).status, 0);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
