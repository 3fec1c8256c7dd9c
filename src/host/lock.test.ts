import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { takeLock, waitForLock } from "./lock.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-lock-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Another process that holds the lock until it is killed. */
async function holder(path: string): Promise<ChildProcess> {
  const source = `import { takeLock } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};
    takeLock(${JSON.stringify(path)}, "x"); process.stdout.write("held"); setInterval(() => 0, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

test("a living holder in another process keeps it, a dead one does not", async () => {
  const path = join(folder, "a");
  const child = await holder(path);
  assert.throws(() => takeLock(path, "sync"), { code: "BUSY", message: "sync is running already" });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  takeLock(path, "sync").release();
});

test("within one process too, and releasing gives it back", () => {
  const path = join(folder, "b");
  const lock = takeLock(path, "sync");
  assert.throws(() => takeLock(path, "sync"), { code: "BUSY" });
  lock.release();
  takeLock(path, "sync").release();
});

test("of six that try at once exactly one gets it", async () => {
  const path = join(folder, "c");
  const source = `import { takeLock } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};
    try { takeLock(${JSON.stringify(path)}, "x"); process.stdout.write("held"); setTimeout(() => 0, 3000); }
    catch (error) { process.stdout.write(error.code); }`;
  const args = ["--input-type=module-typescript", "-e", source];
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] }),
  );
  const said = await Promise.all(
    children.map(
      (child) => new Promise<string>((resolve) => child.stdout.once("data", (text) => resolve(String(text)))),
    ),
  );
  for (const child of children) child.kill("SIGKILL");
  assert.deepEqual(said.sort(), ["BUSY", "BUSY", "BUSY", "BUSY", "BUSY", "held"]);
});

test("who waits gets it when it is free, and not before", async () => {
  const path = join(folder, "e");
  const held = takeLock(path, "sync");
  const order: string[] = [];
  const waiting = waitForLock(path).then((lock) => {
    order.push("got");
    return lock;
  });
  await sleep(300);
  order.push("released");
  held.release();
  (await waiting).release();
  assert.deepEqual(order, ["released", "got"]);
});

test("nothing but an empty file stays", async () => {
  const path = join(folder, "d");
  takeLock(path, "sync").release();
  assert.equal((await stat(path)).size, 0);
  assert.deepEqual((await readdir(folder)).sort(), ["a", "b", "c", "d", "e"]);
});

test("a folder that does not exist is another error", () => {
  assert.throws(() => takeLock(join(folder, "no", "lock"), "sync"), { name: /Error/ });
});
