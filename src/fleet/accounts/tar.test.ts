import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FormatError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";
import { readTar } from "./tar.ts";

test("files of an archive that tar made, and every cut of it is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shoal-tar-"));
  try {
    await mkdir(join(folder, "keys"));
    await writeFile(join(folder, "keys/alice"), "one\n");
    await writeFile(join(folder, "keys/empty"), "");
    await writeFile(join(folder, "large"), "x".repeat(1024));
    await chmod(join(folder, "large"), 0o640);
    await symlink("/etc/passwd", join(folder, "keys/link"));
    const { stdout } = await exec("tar", ["--format=ustar", "--sort=name", "-C", folder, "-cf", "-", "keys", "large"]);
    const files = readTar(stdout);
    assert.deepEqual(
      files.map(({ path, content }) => [path, content.length]),
      [
        ["keys/alice", 4],
        ["keys/empty", 0],
        ["large", 1024],
      ],
    );
    assert.equal(files[2]?.mode, 0o640);
    assert.equal(files[0]?.uid, process.getuid?.());
    const end = stdout.lastIndexOf("x");
    for (let cut = 0; cut <= end; cut += 100) {
      assert.throws(() => readTar(stdout.subarray(0, cut)), FormatError, String(cut));
    }
    assert.throws(() => readTar(Buffer.alloc(1024, "x")), { code: "TAR" });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
