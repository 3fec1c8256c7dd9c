import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HostError } from "#core/errors.ts";
import { Maildir, type MaildirPlaces, type MaildirSystem, maildirSystem } from "./maildir.ts";
import { openJournal, printRecord } from "./maildir-journal.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "shoal-maildir-"));
});
after(() => rm(root, { recursive: true, force: true }));

let counter = 0;
function newPlaces(): MaildirPlaces {
  const folder = join(root, String(counter++));
  return { maildir: join(folder, "Mail"), staging: "incoming", journal: join(folder, "journal") };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function open(places: MaildirPlaces, calls?: MaildirSystem): Promise<Maildir> {
  await mkdir(join(places.journal, ".."), { recursive: true });
  return await Maildir.open(places, calls);
}

function stage(maildir: Maildir, text: string, messageDigest?: string): void {
  maildir.stage({ time: 1000, digest: sha256(text), messageDigest }, Buffer.from(text), 900);
}

/** Contents of everything in `new` and `cur`. */
async function contents({ maildir }: MaildirPlaces): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ["new", "cur"]) {
    for (const name of await readdir(join(maildir, folder))) {
      found.push(await readFile(join(maildir, folder, name), "utf8"));
    }
  }
  return found.sort();
}

test("stores a batch: names from digests, time of arrival, nobody else reads it", async () => {
  const places = newPlaces();
  const maildir = await open(places);
  for (const text of ["a", "b", "c"]) stage(maildir, text);
  assert.deepEqual(await contents(places), [], "not visible before it is committed");
  const stored = await maildir.commit();
  assert.deepEqual(
    stored.map(({ digest }) => digest),
    ["a", "b", "c"].map(sha256),
  );
  assert.deepEqual(await contents(places), ["a", "b", "c"]);
  const { mode, mtimeMs } = await stat(join(places.maildir, "new", `${sha256("a")}.shoal`));
  assert.equal(mode & 0o777, 0o600);
  assert.equal(mtimeMs, 900_000);
  assert.deepEqual(await readdir(join(places.maildir, "incoming")), []);
  maildir.close();
});

test("remembers for ever, also what a mail program moved or deleted", async () => {
  const places = newPlaces();
  const first = await open(places);
  for (const text of ["kept", "moved", "deleted"]) stage(first, text);
  await first.commit();
  first.close();
  const name = (text: string): string => join(places.maildir, "new", `${sha256(text)}.shoal`);
  await rename(name("moved"), join(places.maildir, "cur", `${sha256("moved")}.shoal:2,S`));
  await unlink(name("deleted"));
  const second = await open(places);
  for (const text of ["kept", "moved", "deleted"]) assert.ok(second.knows(sha256(text)), text);
  assert.ok(!second.knows(sha256("other")));
  assert.deepEqual(await contents(places), ["kept", "moved"]);
  second.close();
});

test("the same message under another digest is known for 30 days", async () => {
  const places = newPlaces();
  const maildir = await open(places);
  stage(maildir, "first", sha256("message"));
  assert.ok(maildir.hasMessage(sha256("message"), 1000), "before it is committed already");
  await maildir.commit();
  maildir.stage({ time: 1000, digest: sha256("second"), messageDigest: sha256("message") }, undefined, 0);
  assert.deepEqual(await maildir.commit(), [{ digest: sha256("second"), isNew: false }]);
  maildir.close();
  const later = await open(places);
  assert.ok(later.knows(sha256("second")));
  assert.ok(later.hasMessage(sha256("message"), 1000 + 30 * 86_400 - 1));
  assert.ok(!later.hasMessage(sha256("message"), 1000 + 30 * 86_400));
  assert.deepEqual(await contents(places), ["first"]);
  later.close();
});

test("staging goes on while a batch is being stored", async () => {
  const places = newPlaces();
  const maildir = await open(places);
  stage(maildir, "a");
  const first = maildir.commit();
  stage(maildir, "b");
  assert.equal((await first).length, 1);
  assert.equal((await maildir.commit()).length, 1);
  assert.deepEqual(await contents(places), ["a", "b"]);
  maildir.close();
});

describe("the journal", () => {
  const lines = ["a", "b", "c"].map((text, i) =>
    printRecord({ time: 1000 + i, digest: sha256(text), messageDigest: i === 1 ? sha256("m") : undefined }),
  );
  const whole = `shoal-journal/v1\n${lines.join("")}`;

  test("cut anywhere it gives what was whole and can be continued", async () => {
    const path = join(root, "cut");
    for (let length = 0; length <= whole.length; length++) {
      await writeFile(path, whole.slice(0, length));
      const { records } = await openJournal(path);
      const complete = whole.slice(0, length).split("\n").length - 2;
      assert.equal(records.length, Math.max(0, complete), `cut at ${length}`);
      const text = await readFile(path, "utf8");
      assert.equal(text, `shoal-journal/v1\n${lines.slice(0, records.length).join("")}`);
    }
  });

  test("a changed byte costs one line, not the others", async () => {
    const path = join(root, "changed");
    for (let at = "shoal-journal/v1\n".length; at < whole.length; at += 7) {
      if (whole[at] === "\n") continue;
      await writeFile(path, `${whole.slice(0, at)}${whole[at] === "0" ? "1" : "0"}${whole.slice(at + 1)}`);
      assert.equal((await openJournal(path)).records.length, 2, `byte ${at}`);
    }
  });

  test("something else is not taken for one, and not overwritten", async () => {
    const path = join(root, "other");
    await writeFile(path, "precious\n");
    await assert.rejects(openJournal(path), { code: "CONFIG" });
    assert.equal(await readFile(path, "utf8"), "precious\n");
  });
});

/** Breaks the call number `at` of those that change the disk. */
function breaking(at: number, effect: () => void): { calls: MaildirSystem; count: () => number } {
  let count = 0;
  function step<A extends unknown[], R>(call: (...args: A) => R): (...args: A) => R {
    return (...args) => {
      if (count++ === at) effect();
      return call(...args);
    };
  }
  const calls = Object.fromEntries(
    Object.entries(maildirSystem).map(([name, call]) => [name, step(call as (...args: unknown[]) => unknown)]),
  ) as unknown as MaildirSystem;
  return { calls, count: () => count };
}

test("a disk that fails at any step: said so, and after it works again everything is there once", async () => {
  let steps = 0;
  for (let at = 0; ; at++) {
    const places = newPlaces();
    (await open(places)).close();
    const { calls, count } = breaking(at, () => {
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    });
    let failed = false;
    const safe: string[] = [];
    try {
      const maildir = await open(places, calls);
      for (const batch of [["a", "b"], ["c"]]) {
        for (const text of batch) stage(maildir, text);
        safe.push(...(await maildir.commit()).map(({ digest }) => digest));
      }
      maildir.close();
    } catch (error) {
      assert.ok(error instanceof HostError && error.code === "DISK", String(error));
      assert.match(error.message, /disk is full/);
      failed = true;
    }
    const again = await open(places);
    const before = await contents(places);
    for (const text of ["a", "b", "c"]) {
      if (safe.includes(sha256(text))) assert.ok(before.includes(text), `step ${at}: ${text} was said to be safe`);
      if (!again.knows(sha256(text))) stage(again, text);
    }
    await again.commit();
    again.close();
    assert.deepEqual(await contents(places), ["a", "b", "c"], `step ${at}`);
    steps = count();
    if (!failed) break;
  }
  assert.ok(steps > 15, `${steps} steps were broken`);
});

test("killed at any step and started again: everything is there once, and only then gone from its source", async () => {
  const script = join(root, "killed.ts");
  const here = new URL("./maildir.ts", import.meta.url).href;
  await writeFile(
    script,
    `import { readdirSync, readFileSync, unlinkSync } from "node:fs";
import { Maildir, maildirSystem } from ${JSON.stringify(here)};
const [folder, at] = process.argv.slice(2);
let count = 0;
const step = (call) => (...args) => {
  if (count++ === Number(at)) process.kill(process.pid, "SIGKILL");
  return call(...args);
};
const calls = Object.fromEntries(Object.entries(maildirSystem).map(([name, call]) => [name, step(call)]));
const forget = step(unlinkSync);
const maildir = await Maildir.open({ maildir: folder + "/Mail", staging: "incoming", journal: folder + "/journal" }, calls);
const names = readdirSync(folder + "/source");
for (let from = 0; from < names.length; from += 2) {
  for (const name of names.slice(from, from + 2)) {
    if (maildir.knows(name)) forget(folder + "/source/" + name);
    else maildir.stage({ time: 1000, digest: name, messageDigest: undefined }, readFileSync(folder + "/source/" + name), 900);
  }
  for (const { digest } of await maildir.commit()) forget(folder + "/source/" + digest);
}
maildir.close();
`,
  );
  const texts = ["one", "two", "three"];
  for (let at = 0; ; at++) {
    const folder = join(root, `killed-${at}`);
    await mkdir(join(folder, "source"), { recursive: true });
    for (const text of texts) await writeFile(join(folder, "source", sha256(text)), text);
    const first = spawnSync(process.execPath, [script, folder, String(at)], { stdio: ["ignore", "ignore", "inherit"] });
    // A mail program looks at what is there, and with that gives it another name.
    const [seen, read] = [join(folder, "Mail", "new"), join(folder, "Mail", "cur")];
    for (const name of await readdir(seen).catch(() => [])) await rename(join(seen, name), join(read, `${name}:2,S`));
    // A second kill hits the recovery itself.
    if (at % 3 === 0) spawnSync(process.execPath, [script, folder, String(at % 7)], { stdio: "ignore" });
    const places = { maildir: join(folder, "Mail"), staging: "incoming", journal: join(folder, "journal") };
    const last = await open(places);
    for (const name of await readdir(join(folder, "source"))) {
      if (!last.knows(name)) stage(last, await readFile(join(folder, "source", name), "utf8"));
    }
    await last.commit();
    last.close();
    assert.deepEqual(await contents(places), texts.toSorted(), `killed at step ${at}`);
    assert.deepEqual(await readdir(join(folder, "Mail", "incoming")), []);
    if (first.signal === null) {
      assert.ok(at > 20, `${at} steps`);
      break;
    }
  }
});
