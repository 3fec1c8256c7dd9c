/**
 * Root on `fetch` damages, exchanges, hides and adds sealed files: the owner's client names each of them, stores nothing
 * of it, and brings home everything else. What comes back whole is stored then.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Chance } from "#test/drills/chance.ts";
import { type DrillMail, drillMails } from "#test/drills/drill-mail.ts";
import { submitAll, waitForEmptyQueue } from "#test/world/send.ts";
import { asPerson, openStage, type Stage } from "#test/world/stage.ts";
import { post } from "#test/world/world.ts";

const folder = "/srv/mail/alice/mail";
const untouched = 5;

/** What root does to one sealed file, `$1` (its digest is `$2`), and under which code the client must name it. */
const damages: readonly { what: string; code: string; script: string }[] = [
  { what: "cut off", code: "DIGEST", script: 'truncate -s -100 "$1"' },
  { what: "emptied", code: "DIGEST", script: ': > "$1"' },
  { what: "one byte more", code: "DIGEST", script: 'printf x >> "$1"' },
  { what: "a byte of its mail changed", code: "DIGEST", script: 'printf "\\0" | overwrite "$1" 9000' },
  { what: "under another name", code: "DIGEST", script: 'mv "$1" "$(echo other | digest).age"' },
  { what: "replaced by a link", code: "DIGEST", script: 'ln -sf "$(ls | grep -v "$2" | tail -n 1)" "$1"' },
  { what: "cut off, under its new digest", code: "AGE-PAYLOAD", script: 'truncate -s -100 "$1" && rename "$1"' },
  {
    what: "a byte of its mail changed, under its new digest",
    code: "AGE-PAYLOAD",
    script: 'printf "\\0\\1" | overwrite "$1" 9000 && rename "$1"',
  },
  { what: "its header changed, under its new digest", code: "AGE-MAC", script: 'change_mac "$1" && rename "$1"' },
  { what: "rubbish, under its digest", code: "AGE-HEADER", script: 'head -c 20000 /dev/zero > "$1" && rename "$1"' },
  { what: "too large", code: "TOO-LARGE", script: 'truncate -s 10G "$1"' },
  { what: "not readable", code: "FILE", script: 'chmod 000 "$1"' },
  { what: "a folder", code: "FILE", script: 'rm "$1" && mkdir "$1"' },
];

const tools = `set -e
cd ${folder}
digest() { sha256sum | cut -c1-64; }
rename() { mv "$1" "$(digest < "$1").age"; }
overwrite() { dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
change_mac() { sed -i '0,/^--- ./s/^--- \\(.\\)/--- \\1/; 0,/^--- /s/^--- ...../--- AAAAA/' "$1"; }
`;

let stage: Stage;
let mails: DrillMail[];

before(
  async () => {
    stage = await openStage({ name: "damage", net: 115 });
    mails = drillMails(200, new Chance(1)).filter(({ wanted }) => wanted.join() === "alice");
    mails = mails.slice(0, damages.length + untouched).map((mail) => ({ ...mail, stranger: post }));
    const bobs = drillMails(200, new Chance(2)).filter(({ wanted }) => wanted.join() === "bob");
    const run: Stage["exec"] = (machine, command, options) => stage.exec(machine, command, options);
    await submitAll(run, post, [...mails, ...bobs.slice(0, 1)]);
    await waitForEmptyQueue(run, post, 60);
    for (let turn = 0; (await names()).length < mails.length; turn++) {
      assert.ok(turn < 100, `only ${(await names()).length} files on fetch`);
      await sleep(100);
    }
  },
  { timeout: 240_000 },
);

after(() => stage?.close(), { timeout: 60_000 });

test("root on fetch damages, exchanges and adds files: each is named, the others arrive", {
  timeout: 60_000,
}, async () => {
  await onFetch('cp -a . /root/before && cp /srv/mail/bob/mail/*.age "$(ls /srv/mail/bob/mail)"');
  const bobs = (await onFetch("ls /srv/mail/bob/mail")).trim();
  const files = (await names()).filter((name) => name !== bobs);
  const expected = new Map([[bobs, { what: "another's", code: "NO-IDENTITY" }]]);
  for (const [index, { what, code, script }] of damages.entries()) {
    const file = files[index] ?? "";
    const earlier = new Set(await names());
    await onFetch(script, file, file.slice(0, 64));
    // It may have another name now.
    const now = (await names()).find((name) => !earlier.has(name)) ?? file;
    expected.set(now, { what, code });
  }

  const { status, failed, stored } = await sync();
  for (const [name, { what, code }] of expected) assert.equal(failed.get(name), code, what);
  assert.equal(failed.size, expected.size);
  assert.equal(status, 65);
  assert.equal(stored, untouched);
  assert.equal((await subjects()).size, untouched);
  assert.deepEqual((await names()).sort(), [...expected.keys()].sort(), "what was named stays on the server");

  await onFetch('rm -rf ./* && cp -a /root/before/. . && printf x > note.txt && mkdir "$1"', "sub");
  const again = await sync();
  assert.deepEqual([again.status, again.stored], [0, damages.length]);
  assert.deepEqual([...(await subjects())].sort(), mails.map(({ id }) => id).sort());
});

test("files that were fetched before and come back are taken away again, and not stored", {
  timeout: 60_000,
}, async () => {
  await onFetch("cp -a /root/before/. .");
  const { status, stored, duplicates } = await sync();
  assert.deepEqual([status, stored, duplicates], [0, 0, mails.length]);
  assert.deepEqual(await names(), []);
  assert.equal((await subjects()).size, mails.length);
});

/** Runs a script as root of `fetch` in alice's folder. */
async function onFetch(script: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await stage.exec("fetch", ["bash", "-c", `${tools}${script}`, "bash", ...args]);
  assert.equal(status, 0, `${script}: ${stderr}`);
  return stdout.toString("utf8");
}

async function names(): Promise<string[]> {
  return (await onFetch("ls")).split("\n").filter((name) => name.endsWith(".age"));
}

async function sync(): Promise<{
  status: number | null;
  failed: Map<string, string>;
  stored: number;
  duplicates: number;
}> {
  const { status, stdout } = await stage.exec("user", asPerson("alice", "shoal sync --json"));
  const result = JSON.parse(stdout.toString("utf8")) as {
    failed: { file: string; code: string }[];
    stored: number;
    duplicates: number;
  };
  const { failed, stored, duplicates } = result;
  return { status, failed: new Map(failed.map(({ file, code }) => [file, code])), stored, duplicates };
}

/** Subjects in alice's Maildir; a mail that is there twice fails. */
async function subjects(): Promise<Set<string>> {
  const text = await stage.as(
    "alice",
    "find Mail/shoal -type f -path '*/new/*' -exec grep -m 1 '^Subject: ' {} \\; -print",
  );
  const found = [...text.matchAll(/^Subject: (.*)$/gm)].map(([, subject]) => subject ?? "");
  assert.equal(new Set(found).size, found.length, "each mail once");
  return new Set(found);
}
