/**
 * Root on `fetch` damages, exchanges, hides and adds sealed files in many ways at once: the owner's client names each of them,
 * stores nothing of it, and brings home everything else. What comes back whole is stored then.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Chance } from "#test/drills/chance.ts";
import { type DrillMail, drillMails } from "#test/drills/drill-mail.ts";
import { until } from "#test/until.ts";
import { submitAll, waitForEmptyQueue } from "#test/world/send.ts";
import { asPerson, openStage, type Stage } from "#test/world/stage.ts";
import { post } from "#test/world/world.ts";

const folder = "/srv/mail/alice/mail";
const untouched = 5;

/** What root does to one sealed file, `$1` (its digest is `$2`), and under which code the client must name its delivery. */
const damages: readonly { what: string; code: "MODIFIED" | "MISSING" | "FILE"; script: string }[] = [
  { what: "cut off", code: "MODIFIED", script: 'truncate -s -100 "$1"' },
  { what: "emptied", code: "MODIFIED", script: ': > "$1"' },
  { what: "one byte more", code: "MODIFIED", script: 'printf x >> "$1"' },
  { what: "a byte of its mail changed", code: "MODIFIED", script: 'printf "\\0" | overwrite "$1" 9000' },
  { what: "under another name", code: "MISSING", script: 'mv "$1" "$(echo other | digest).age"' },
  { what: "replaced by a link", code: "MODIFIED", script: 'ln -sf "$(ls | grep -v "$2" | tail -n 1)" "$1"' },
  { what: "cut off, under its new digest", code: "MISSING", script: 'truncate -s -100 "$1" && rename "$1"' },
  {
    what: "a byte of its mail changed, under its new digest",
    code: "MISSING",
    script: 'printf "\\0\\1" | overwrite "$1" 9000 && rename "$1"',
  },
  { what: "its header changed, under its new digest", code: "MISSING", script: 'change_mac "$1" && rename "$1"' },
  { what: "rubbish, under its digest", code: "MISSING", script: 'head -c 20000 /dev/zero > "$1" && rename "$1"' },
  { what: "too large", code: "MODIFIED", script: 'truncate -s 10G "$1"' },
  { what: "not readable", code: "FILE", script: 'chmod 000 "$1"' },
  { what: "a folder", code: "MODIFIED", script: 'rm "$1" && mkdir "$1"' },
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

before(async () => {
  stage = await openStage({ name: "damage" });
  mails = drillMails(200, new Chance(1)).filter(({ wanted }) => wanted.join() === "alice");
  mails = mails.slice(0, damages.length + untouched).map((mail) => ({ ...mail, stranger: post }));
  const bobs = drillMails(200, new Chance(2)).filter(({ wanted }) => wanted.join() === "bob");
  const run: Stage["exec"] = (machine, command, options) => stage.exec(machine, command, options);
  await submitAll(run, post, [...mails, ...bobs.slice(0, 1)]);
  await waitForEmptyQueue(run, post);
  await until(`${mails.length} files on fetch`, async () => (await names()).length === mails.length);
});

after(() => stage?.close());

test("root on fetch damages, exchanges and adds files: each is named, the others arrive", async () => {
  await onFetch("cp -a . /root/before");
  const files = await names();
  await onFetch('cp /srv/mail/bob/mail/*.age "$(ls /srv/mail/bob/mail)" && echo foreign > "$(echo odd | digest).age"');
  const expected = new Map<string, string>();
  for (const [index, { code, script }] of damages.entries()) {
    const file = files[index] ?? "";
    await onFetch(script, file, file.slice(0, 64));
    expected.set(file, code);
  }

  const { status, findings, failed, stored } = await sync();
  for (const [index, { what, code }] of damages.entries()) {
    const file = files[index] ?? "";
    assert.equal(findings.get(file) ?? failed.get(file), code, what);
  }
  assert.equal(status, 76);
  assert.equal(stored, untouched);
  assert.equal((await subjects()).size, untouched);
  const named = [...findings].filter(([name]) => !expected.has(name));
  assert.ok(named.length >= 2 && named.every(([, code]) => code === "UNSIGNED"), "files under false digests");

  await onFetch("rm -rf ./* && cp -a /root/before/. .");
  for (const file of files.slice(damages.length)) await onFetch('rm "$1"', file);
  const again = await sync();
  assert.deepEqual([again.status, again.stored, [...again.findings]], [0, damages.length, []]);
  assert.deepEqual([...(await subjects())].sort(), mails.map(({ id }) => id).sort());
});

test("files that were fetched and removed, and come back, are named and not stored", async () => {
  await onFetch("cp -a /root/before/. .");
  const { status, stored, findings } = await sync();
  assert.deepEqual([status, stored], [76, 0]);
  assert.deepEqual([...new Set(findings.values())], ["RESURRECTED"]);
  assert.deepEqual([...findings.keys()].sort(), (await names()).sort());
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
  /** File in `mail/`, as it was delivered or as it lies there -> code. */
  findings: Map<string, string>;
  failed: Map<string, string>;
  stored: number;
}> {
  const { status, stdout, stderr } = await stage.exec("user", asPerson("alice", "shoal sync --json"));
  assert.ok(stdout.length > 0, stderr);
  const result = JSON.parse(stdout.toString("utf8")) as {
    failed: { file: string; code: string }[];
    findings: { code: string; digest?: string; file?: string }[];
    stored: number;
  };
  const { failed, findings, stored } = result;
  return {
    status,
    findings: new Map(findings.map(({ code, digest, file }) => [file ?? `${digest}.age`, code])),
    failed: new Map(failed.map(({ file, code }) => [file, code])),
    stored,
  };
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
