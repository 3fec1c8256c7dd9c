/** Accounts on real machines, as owners, thieves and the operator use them. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { changeDirectory } from "#fleet/accounts/change.ts";
import { audit } from "#fleet/accounts/verify-verb.ts";
import {
  authorizedKeys,
  client,
  domain,
  handIn,
  keysOf,
  nextHonest,
  type Scene,
  sealLines,
  standingAt,
} from "#test/drills/taken/scene.ts";
import { lineOf, makeKey, nextState, signState } from "#test/owner.ts";
import { SOON_SECONDS, until } from "#test/until.ts";
import { smtpDialogue } from "#test/world/smtp-probe.ts";
import { asPerson } from "#test/world/stage.ts";
import { flowStage } from "./flow-stage.ts";
import { sendRaw, untilAllArrived } from "./mail-flow.ts";

const people = ["alice", "bob", "carol"];
const stage = flowStage({ people, recovery: people });

/** What the drills' helpers work on. */
async function scene(): Promise<Scene> {
  const [alice, bob] = [await keysOf(stage(), "alice"), await keysOf(stage(), "bob")];
  return { stage: stage(), alice, bob, thief: makeKey(), tell: () => undefined };
}

/** The last line that a command printed, which for `init` and `add-device` is what to type elsewhere. */
async function lastLine(person: string, command: string): Promise<string> {
  return (await stage().as(person, command)).trim().split("\n").at(-1) ?? "";
}

async function mailFor(name: string, subject: string): Promise<string> {
  const data = Buffer.from(`From: <zoe@post.example>\r\nSubject: ${subject}\r\n\r\n${subject}\r\n.\r\n`);
  const { recipients, end } = await sendRaw(stage(), { from: "<zoe@post.example>", to: [`${name}@${domain}`], data });
  return recipients[0]?.startsWith("250") === true ? end : (recipients[0] ?? "");
}

/** Waits until `in` answers so to a recipient: its filter looks at the file of recipients now and then. */
async function untilAnswered(name: string, answer: string): Promise<void> {
  const lines = ["EHLO probe.world.example", "MAIL FROM:<>", `RCPT TO:<${name}@${domain}>`];
  const isSo = async (): Promise<boolean> =>
    (await smtpDialogue(stage().address("in"), 25, lines))[3]?.startsWith(answer) === true;
  await until(`${answer} for ${name}`, isSo, SOON_SECONDS);
}

const hosts = `--host fetch.mail.${domain} --keys-host keys.mail.${domain}`;

test("a second device is in, and out again with its open session, within ten seconds", async () => {
  const words = await lastLine("alice", `shoal init alice@${domain} ${hosts} --maildir phone --profile phone`);
  const started = performance.now();
  const trust = await lastLine("alice", `shoal account add-device '${words}' --yes`);
  await stage().as("alice", `${trust} --profile phone`);
  assert.match(await mailFor("alice", "for both"), /^250 /);
  await untilAllArrived(stage());
  const said = await stage().as("alice", "shoal sync --keep --profile phone --json");
  assert.match(said, /"stored":1/);
  assert.ok(performance.now() - started < 10_000, "a new device fetches and opens new mail within ten seconds");
  assert.match(await stage().as("alice", "shoal sync --json"), /"stored":1/, "the first device opens it, too");

  const device = (await stage().as("alice", "ssh-keygen -lf .config/shoal/phone/id_ed25519.pub")).split(" ")[1] ?? "";
  const sftp = `exec sftp -q -i .config/shoal/phone/id_ed25519 alice@fetch.mail.${domain}`;
  const [command, ...args] = await stage().command("user", asPerson("alice", sftp));
  const session = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  let heard = "";
  for (const stream of [session.stdout, session.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
    });
  }
  try {
    session.stdin.write("pwd\n");
    await until("the session answers", async () => heard.includes("Remote working directory"));
    const removing = performance.now();
    await stage().as("alice", `shoal account remove-device ${device} --yes`);
    await until("the end of the session", async () => heard.includes("closed by remote host"));
    const open = performance.now() - removing;
    assert.ok(open < 10_000, `the open session of a removed device ended after ${(open / 1000).toFixed(1)} s`);
  } finally {
    session.stdin.end();
  }
  const login = await stage().exec("user", asPerson("alice", `echo ls | ${sftp.replace("exec sftp", "sftp -b -")}`));
  assert.equal(login.status, 255, "a removed device does not log in");
  const phone = (await stage().as("alice", "cat .config/shoal/phone/id_ed25519.pub")).split(" ").slice(0, 2).join(" ");
  assert.ok(!(await sealLines(await scene(), "alice")).includes(phone), "nothing is sealed to a removed device");
});

test('docs/use.md, "The account by hand": a text editor, ssh-keygen and sftp are enough', async () => {
  const page = await readFile(new URL("../../docs/use.md", import.meta.url), "utf8");
  const section = /## The account by hand\n(.*?)\n## /s.exec(page)?.[1] ?? "";
  const blocks = [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block = ""]) => block);
  assert.equal(blocks.length, 6);
  const own = (block: string): string =>
    block
      .replaceAll("ssh-keygen -t", 'ssh-keygen -q -N "" -t')
      .replaceAll("alice@keys.mail.example.org", `erin@keys.mail.${domain}`)
      .replaceAll("example.org", domain);
  const run = async (from: number, to: number): Promise<string> =>
    await stage().as("carol", `mkdir -p hand && cd hand && set -eu\n${blocks.slice(from, to).map(own).join("")}`);
  await run(0, 3);
  const genesis = Buffer.from(await stage().as("carol", "cat hand/alice.account"), "latin1");
  await stage().add([{ name: "erin", genesis, quotaBytes: 100_000_000, fetch: 1 }]);
  assert.match(await run(3, 6), /^code ACCEPTED$/m);
  assert.equal((await standingAt(await scene(), "fetch", "erin")).state.devices.length, 2);
});

test("a thief with the master key loses to the recovery key; a thief with a device's key gets nowhere", async () => {
  const open = await scene();
  const thief = makeKey();
  const device = { auth: true, seal: true, key: lineOf(thief) };
  const before = await standingAt(open, "fetch", "bob");
  const byDevice = signState(nextState(before, { devices: [...before.state.devices, device] }), [open.bob.laptop]);
  assert.equal((await handIn(open, "bob", byDevice))?.code, "SIGNER");
  const taken = makeKey();
  const takeover = signState(nextState(before, { recovery: [], devices: [device], master: [lineOf(taken)] }), [
    open.bob.master,
    taken,
  ]);
  assert.equal((await handIn(open, "bob", takeover, { key: "recovery" }))?.code, "ACCEPTED");
  await until(
    "the thief is in",
    async () => {
      return (await authorizedKeys(open, "fetch", "bob")).includes(lineOf(thief));
    },
    SOON_SECONDS,
  );
  const recovered = await client(open, "bob", "shoal account recover --recovery recovery --yes");
  assert.equal(recovered.status, 0, recovered.said);
  await until(
    "the thief is out",
    async () => {
      return !(await authorizedKeys(open, "fetch", "bob")).includes(lineOf(thief));
    },
    SOON_SECONDS,
  );
  const { state } = await standingAt(open, "fetch", "bob");
  assert.ok(!state.master.includes(lineOf(taken)), "the thief's master is gone");
  assert.ok(state.recovery.includes(lineOf(open.bob.recovery)));
  const late = signState(nextState(await standingAt(open, "fetch", "bob"), { devices: [device] }), [taken]);
  assert.equal((await handIn(open, "bob", late, { key: "recovery" }))?.code, "SIGNER");
  assert.match((await client(open, "bob", "shoal account show")).said, /account {3}bob@/);
});

test("suspended, resumed, removed: the operator's say, and no more", async () => {
  const open = await scene();
  const login = `echo ls | sftp -q -b - -i .config/shoal/default/id_ed25519 carol@fetch.mail.${domain}`;
  const loginStatus = async (): Promise<number | null> => (await stage().exec("user", asPerson("carol", login))).status;
  const change = async (kind: "suspend" | "resume" | "remove"): Promise<void> => {
    assert.deepEqual(await changeDirectory(await stage().operator(), [{ kind, name: "carol" }]), []);
  };
  assert.equal(await loginStatus(), 0);
  await change("suspend");
  assert.equal(await loginStatus(), 255);
  await untilAnswered("carol", "450 ");
  assert.match(await mailFor("carol", "suspended"), /^450 /);
  const rotated = await client(open, "carol", "shoal account rotate-master --yes");
  assert.equal(rotated.status, 0, `owners keep their keys: ${rotated.said}`);
  await change("resume");
  assert.equal(await loginStatus(), 0);
  await untilAnswered("carol", "250 ");
  assert.match(await mailFor("carol", "resumed"), /^250 /);
  await change("remove");
  assert.equal(await loginStatus(), 255);
  await untilAnswered("carol", "550 ");
  assert.match(await mailFor("carol", "removed"), /^550 /);
  const again = await stage().operator();
  await assert.rejects(
    changeDirectory(again, [{ kind: "add", name: "carol", account: "A".repeat(22), quotaBytes: 1, fetch: 1 }]),
    { code: "NAME-TAKEN" },
  );
});

test("whatever is killed while owners change their accounts, all machines come to the same", async () => {
  const open = await scene();
  const victims = [
    ["ledger", "shoal-ledger.mjs serve"],
    ["keys", "shoal-keys.mjs serve"],
    ["keys", "shoal-accept.mjs serve"],
    ["fetch", "shoal-accept.mjs serve"],
    ["in", "shoal-accept.mjs serve"],
    ["keys", "sshd: "],
    ["fetch", "sshd: ledger"],
    ["ledger", "ssh -"],
  ] as const;
  const over = new AbortController();
  const killing = (async () => {
    let kills = 0;
    for (; !over.signal.aborted; kills++) {
      const [machine, pattern] = victims[randomInt(victims.length)] ?? victims[0];
      await stage().exec(machine, ["pkill", "-KILL", "-f", pattern]);
      await sleep(randomInt(50, 400));
    }
    return kills;
  })();
  let accepted = 0;
  for (let version = 0; version < 12; version++) {
    const standing = await standingAt(open, "fetch", "alice");
    const signed = nextHonest(open.alice, standing);
    const answer = await handIn(open, "alice", signed, { seconds: 6 }).catch(() => null);
    if (answer?.code === "ACCEPTED") accepted++;
  }
  over.abort();
  const kills = await killing;
  assert.ok(kills > 10 && accepted > 0, `${kills} kills, ${accepted} accepted`);
  await until("all machines agree", async () => {
    const { ledger } = await stage().operator();
    return (await ledger.standings().catch(() => [{ isCurrent: false }])).every(({ isCurrent }) => isCurrent);
  });
  assert.deepEqual(await audit(stage().fleet, await stage().operator()), []);
});

test("`account verify` names a key that somebody put into a machine's files", async () => {
  const line = `restrict ${lineOf(makeKey())}`;
  for (const machine of ["fetch", "keys"]) {
    const plant = `echo '${line}' >> /etc/ssh/authorized_keys/alice`;
    assert.equal((await stage().exec(machine, ["sh", "-c", plant])).status, 0);
  }
  const found = await audit(stage().fleet, await stage().operator());
  assert.equal(found.length, 2, found.join("\n"));
  assert.ok(
    found.every((text) => text.includes("alice")),
    found.join("\n"),
  );
});
