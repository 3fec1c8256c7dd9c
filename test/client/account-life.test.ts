/** `shoal account` as its user types it, against real sshd. */

import assert from "node:assert/strict";
import { chmod, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { parseProposal } from "#core/account/step.ts";
import { exec, tryExec } from "#host/exec.ts";
import { AccountMachines, type Computer, type Ran } from "#test/account-machines.ts";

let machines: AccountMachines;
let laptop: Computer;

beforeEach(async () => {
  machines = await AccountMachines.start();
  laptop = await machines.computer("laptop");
});
afterEach(() => machines.stop());

async function create(computer: Computer, ...args: string[]): Promise<Ran> {
  const recovery = args.some((arg) => arg.includes("recovery")) ? [] : ["--recovery", computer.path("usb")];
  return await computer.run(["account", "create", "alice@example.org", ...machines.options, ...recovery, ...args]);
}

/** An account that the operator has added. */
async function admitted(...args: string[]): Promise<void> {
  const created = await create(laptop, ...args);
  assert.equal(created.status, 0, created.stderr);
  await machines.accept(Buffer.from((await laptop.run(["account", "request"])).stdout, "latin1"));
}

async function ok(computer: Computer, ...args: string[]): Promise<Ran> {
  const ran = await computer.run(args);
  assert.equal(ran.status, 0, `${args.join(" ")}\n${ran.stderr}`);
  return ran;
}

/** As if it had learned what it knows so many seconds ago. */
async function learned(computer: Computer, seconds: number): Promise<void> {
  const time = Date.now() / 1000 - seconds;
  await utimes(join(computer.state, "chain"), time, time);
}

interface Shown {
  id: string;
  known: string;
  version: number;
  masters: string[];
  recoveries: string[];
  removedRecoveries: string[];
  devices: { uses: string; key: string; thisComputer: boolean }[];
  waiting: number | null;
  machines: { machine: string; version: number | null; code: string | null }[];
}

async function shown(
  computer: Computer,
  ...args: string[]
): Promise<Shown & { status: number | null; stderr: string }> {
  const { status, stdout, stderr } = await computer.run(["account", "show", "--json", ...args]);
  return { ...(JSON.parse(stdout) as Shown), status, stderr };
}

describe("a new account", () => {
  test("has keys of its own, a state that all of them signed, and says what to do next", async () => {
    const { status, stdout, stderr } = await create(laptop);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "");
    for (const file of ["id_ed25519", "master_ed25519", "profile.json"]) {
      assert.equal((await stat(join(laptop.config, file))).mode & 0o777, 0o600, file);
    }
    for (const words of ["give the operator the file", "take the recovery key", "known_hosts"].slice(0, 2)) {
      assert.ok(stderr.includes(words), words);
    }
    const request = await ok(laptop, "account", "request");
    const { state, signed, id } = parseProposal(Buffer.from(request.stdout, "latin1"));
    assert.deepEqual([state.version, state.master.length, state.recovery.length], [1, 1, 1]);
    assert.equal(signed.signatures.length, 2);
    assert.ok(stderr.includes(id));
    assert.equal((await shown(laptop, "--offline")).id, id);

    await ok(laptop, "account", "request", "--output", "alice.account");
    assert.equal(await readFile(laptop.path("alice.account"), "latin1"), request.stdout);
    const again = await laptop.run(["account", "request", "--output", "alice.account"]);
    assert.equal(again.status, 64, "an existing file is not overwritten");
  });

  test("is verified by ssh-keygen, for the namespace of the domain", async () => {
    await create(laptop);
    const { signed, state } = parseProposal(Buffer.from((await laptop.run(["account", "request"])).stdout, "latin1"));
    await writeFile(laptop.path("signers"), `alice@example.org ${state.master[0] ?? ""}\n`);
    const signatures = signed.signatures;
    const verdicts: (number | null)[] = [];
    for (const [index, signature] of signatures.entries()) {
      await writeFile(laptop.path(`sig${index}`), signature);
      const args = ["-Y", "verify", "-f", laptop.path("signers"), "-I", "alice@example.org"];
      const namespace = ["-n", "account-state.v1@example.org", "-s", laptop.path(`sig${index}`)];
      verdicts.push((await tryExec("ssh-keygen", [...args, ...namespace], { input: signed.body })).status);
    }
    assert.equal(
      verdicts.filter((verdict) => verdict === 0).length,
      1,
      "the master's holds, the recovery key's is another's",
    );
  });

  test("mistakes change nothing", async () => {
    const wrong: [string[], RegExp][] = [
      [["alice"], /NAME@DOMAIN/],
      [["root@example.org"], /no machine uses for itself/],
      [["Alice@example.org"], /account name/],
      [["alice@example.org", "--master", "nothing"], /no master key/],
      [["alice@example.org"], /no terminal to ask on/],
      [["alice@example.org", "--recovery", "x", "--no-recovery"], /exclude each other/],
      [["alice@example.org", "--recovery", "/nowhere/usb"], /there is no folder "\/nowhere"/],
    ];
    for (const [args, message] of wrong) {
      const { status, stderr } = await laptop.run(["account", "create", ...args]);
      assert.equal(status, 64, stderr);
      assert.match(stderr, message);
    }
    assert.equal((await tryExec("test", ["-e", laptop.config])).status, 1);
    assert.equal((await create(laptop)).status, 0, "the same again, with what was made so far");
    await rm(join(laptop.config, "profile.json"));
    assert.equal((await create(laptop)).status, 0, "and after a crash before the profile was written");
    const second = await create(laptop);
    assert.equal(second.status, 64);
    assert.match(second.stderr, /there is a profile "default" already/);
  });

  test("keys that exist are used: in files, with a passphrase, and an age key beside an ssh key", async () => {
    const key = async (name: string, passphrase = "", type = "ed25519"): Promise<string> => {
      await exec("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-f", laptop.path(name)]);
      return laptop.path(name);
    };
    await writeFile(laptop.path("words"), "correct horse\n");
    const master = await key("master", "correct horse");
    const device = await key("device", "", "ecdsa");
    await exec("age-keygen", ["-o", laptop.path("age")]);
    const options = ["--master", master, "--identity", device, "--identity", laptop.path("age")];
    const refused = await create(laptop, ...options);
    assert.equal(refused.status, 77);
    assert.match(refused.stderr, /protected by a passphrase and there is no terminal/);
    const { status, stderr } = await laptop.run(
      ["account", "create", "alice@example.org", ...machines.options, "--recovery", laptop.path("usb"), ...options],
      { SHOAL_PASSPHRASE_FILE: laptop.path("words") },
    );
    assert.equal(status, 0, stderr);
    const { state } = parseProposal(Buffer.from((await laptop.run(["account", "request"])).stdout, "latin1"));
    const kinds = state.devices.map(({ auth, seal, key: line }) => [
      auth,
      seal,
      line.split(" ")[0]?.replace(/^age1.*/, "age1"),
    ]);
    assert.deepEqual(kinds, [
      [true, false, "ecdsa-sha2-nistp256"],
      [false, true, "age1"],
    ]);
  });
});

describe("devices", () => {
  test("a second one is paired by a line, pins the account, and is shut out again", async () => {
    await admitted();
    const phone = await machines.computer("phone");
    const init = await ok(phone, "init", "alice@example.org", ...machines.options);
    assert.match(init.stdout, /^shoal-device:alice@example\.org:auth,seal:ssh-ed25519:\S+:[0-9a-f]{8}\n$/);
    const code = /must show the code (\S+)/.exec(init.stderr)?.[1] ?? "";
    assert.match(code, /^([A-Z2-9]{4}-){3}[A-Z2-9]{4}$/);
    const early = await phone.run(["sync"]);
    assert.equal(early.status, 75, "not yet");
    assert.match(early.stderr, /no device of the account yet/);

    const added = await ok(laptop, "account", "add-device", init.stdout.trim(), "--yes");
    assert.ok(added.stderr.includes(`must show the code ${code}`));
    assert.match(added.stderr, /"localhost" accepted version 2\n(.*\n)*shoal: "127\.0\.0\.1" has it too/);
    assert.match(added.stdout, /^shoal account trust \S{22}\n$/);
    await ok(phone, ...added.stdout.trim().split(" ").slice(1));
    const seen = await shown(phone);
    assert.deepEqual([seen.status, seen.known, seen.version, seen.waiting], [0, "trusted", 2, null]);
    assert.equal(seen.devices.filter(({ thisComputer }) => thisComputer).length, 1);
    assert.equal(seen.devices.length, 2);
    await ok(phone, "sync");

    const again = await ok(laptop, "account", "add-device", init.stdout.trim(), "--yes");
    assert.match(again.stderr, /in the account already/);
    assert.equal(machines.versions.length, 2);

    const number = (await shown(laptop)).devices.findIndex(({ thisComputer }) => !thisComputer) + 1;
    await ok(laptop, "account", "remove-device", String(number), "--yes");
    const refused = await phone.run(["sync"]);
    assert.equal(refused.status, 75);
    assert.match(
      refused.stderr,
      /refused the login(.*\n)*shoal: hint: this computer is a device of version 2 .* removed it since/,
    );
    assert.equal((await shown(laptop)).version, 3);
    const history = await ok(laptop, "account", "history");
    assert.match(
      history.stdout,
      /version 2, accepted [-0-9: ]+\n {2}\+ device {4}auth,seal ssh-ed25519 SHA256:\S+\n {2}signed by/,
    );
  });

  test("plain keys are added too, and a computer that knows of its removal says so", async () => {
    await admitted();
    await exec("age-keygen", ["-o", laptop.path("age")]);
    await ok(laptop, "account", "add-device", "--key", laptop.path("age"), "--yes");
    assert.deepEqual((await shown(laptop)).devices.map(({ uses }) => uses).sort(), ["auth,seal", "seal"]);
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", laptop.path("token")]);
    await ok(laptop, "account", "add-device", "--key", laptop.path("token.pub"), "--uses", "auth", "--yes");
    const own = (await shown(laptop)).devices.findIndex(({ thisComputer }) => thisComputer) + 1;
    const removed = await ok(laptop, "account", "remove-device", String(own), "--yes");
    assert.match(removed.stderr, /that is this computer/);
    const refused = await laptop.run(["sync"]);
    assert.match(refused.stderr, /this computer was removed from the account: it is no device of version 4/);
  });

  test("what can't be is refused before anything is signed", async () => {
    await admitted();
    const wrong: [string[], number, RegExp][] = [
      [["remove-device", "1", "--yes"], 77, /no device could log in/],
      [["remove-device", "7", "--yes"], 64, /no device number 7/],
      [["remove-device", "1"], 64, /no terminal to ask on/],
      [["add-device", "shoal-device:alice@example.org:auth:x", "--yes"], 65, /damaged or not all there/],
      [["add-device", "--key", join(laptop.config, "master_ed25519"), "--yes"], 77, /can't be a device's/],
      [["add-device", "--yes"], 64, /the line that the new device printed/],
      [["rotate-master", "--recovery", laptop.path("usb"), "--yes"], 77, /no master key of the account/],
      [["recover", "--recovery", join(laptop.config, "master_ed25519"), "--yes"], 77, /no recovery key of the account/],
      [["remove-device", "1", "--master", join(laptop.config, "id_ed25519"), "--yes"], 77, /no key of the account's/],
    ];
    for (const [args, status, message] of wrong) {
      const ran = await laptop.run(["account", ...args]);
      assert.match(ran.stderr, message);
      assert.equal(ran.status, status, ran.stderr);
    }
    assert.equal(machines.versions.length, 1);
  });
});

describe("master and recovery keys", () => {
  test("a new master takes the place of the old one", async () => {
    await admitted();
    const old = join(laptop.config, "master_ed25519");
    await ok(laptop, "account", "rotate-master", "--yes");
    const profile = JSON.parse(await readFile(join(laptop.config, "profile.json"), "utf8")) as { masters: string[] };
    assert.deepEqual(profile.masters, [`${old}_2`]);
    const refused = await laptop.run(["account", "rotate-master", "--master", old, "--yes"]);
    assert.equal(refused.status, 77, refused.stderr);
    await ok(laptop, "account", "rotate-master", "--yes");
    const seen = await shown(laptop, "--keys");
    assert.equal(seen.masters.length, 1);
    assert.deepEqual(
      seen.machines.map(({ machine, version, code }) => [machine, version, code]),
      [
        ["127.0.0.1", 3, null],
        ["localhost", 3, null],
      ],
    );
  });

  test("recovery keys come and go, and a removed one may have its say for a while", async () => {
    await admitted();
    const first = (await shown(laptop)).recoveries[0] ?? "";
    await ok(laptop, "account", "add-recovery", laptop.path("second"), "--yes");
    const number = (await shown(laptop)).recoveries.indexOf(first) + 1;
    const removed = await ok(laptop, "account", "remove-recovery", String(number), "--yes");
    assert.match(removed.stderr, /keeps its say for 72 hours/);
    assert.deepEqual((await shown(laptop)).removedRecoveries, [first]);
    const atOnce = await ok(laptop, "account", "remove-recovery", "1", "--recovery", laptop.path("usb"), "--yes");
    assert.match(atOnce.stderr, /the removed one has no say from then on/);
    assert.match(atOnce.stderr, /was removed, and signing this ends its say/);
    const after = await shown(laptop);
    assert.deepEqual([after.recoveries, after.removedRecoveries], [[], []]);
  });

  test("a thief with the master key is thrown out by the recovery key that the thief removed", async () => {
    await admitted();
    const thief = await machines.computer("thief");
    await exec("cp", ["-r", laptop.path("config"), laptop.path("state"), thief.home]);
    const config = join(thief.config, "profile.json");
    await writeFile(config, (await readFile(config, "utf8")).replaceAll(laptop.home, thief.home));
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", thief.path("spy")]);
    await ok(thief, "account", "add-device", "--key", thief.path("spy.pub"), "--yes");
    await ok(thief, "account", "add-recovery", thief.path("his"), "--yes");
    const theirs = await shown(thief);
    const ours = parseProposal(machines.versions[0]?.signed ?? Buffer.alloc(0)).state.recovery[0] ?? "";
    await ok(thief, "account", "remove-recovery", String(theirs.recoveries.indexOf(ours) + 1), "--yes");
    await ok(thief, "account", "rotate-master", "--yes");

    const locked = await laptop.run(["account", "remove-device", "2", "--yes"]);
    assert.equal(locked.status, 75, locked.stderr);
    const recovered = await ok(laptop, "account", "recover", "--recovery", laptop.path("usb"), "--yes");
    assert.match(recovered.stderr, /- device .*\n(.*\n)*.*yours alone again/);
    const mine = await shown(laptop);
    assert.deepEqual([mine.status, mine.recoveries, mine.removedRecoveries, mine.devices.length], [0, [ours], [], 1]);
    assert.equal(mine.devices[0]?.thisComputer, true);
    for (const args of [
      ["--master", join(thief.config, "master_ed25519_2")],
      ["--recovery", thief.path("his")],
    ]) {
      const { status, stderr } = await thief.run(["account", "remove-device", "1", "--yes", ...args]);
      assert.notEqual(status, 0, stderr);
    }
    assert.equal(machines.versions.length, 6);
    await ok(laptop, "account", "history");
  });

  test("after the loss of everything else, a new computer and the recovery key are enough", async () => {
    await admitted();
    await exec("cp", [laptop.path("usb"), laptop.path("usb.pub"), machines.fetch.folder]);
    await laptop.remove();
    const fresh = await machines.computer("fresh");
    await ok(fresh, "init", "alice@example.org", ...machines.options);
    const usb = join(machines.fetch.folder, "usb");
    await chmod(usb, 0o644);
    const { stderr } = await ok(fresh, "account", "recover", "--recovery", usb, "--yes");
    assert.match(stderr, /shows the account \S{22}; this computer remembers it from now on, unchecked/);
    assert.match(stderr, /usual on USB sticks: a private copy is used/);
    assert.deepEqual(
      (await readdir(join(fresh.state, ".."))).filter((name) => name.startsWith("shoal-key")),
      [],
    );
    const seen = await shown(fresh);
    assert.deepEqual([seen.status, seen.version, seen.devices.length, seen.known], [0, 2, 1, "seen"]);
    await ok(fresh, "account", "rotate-master", "--yes");
    await ok(fresh, "sync");
  });
});

describe("when machines don't do their part", () => {
  test("no decision, no answer, no connection: the change is kept, carried in, and settled", async () => {
    await admitted();
    machines.answer = { code: "PENDING", text: "waits for the ledger" };
    const waiting = await laptop.run(["account", "rotate-master", "--yes"]);
    assert.equal(waiting.status, 75, waiting.stderr);
    assert.match(waiting.stderr, /not decided yet\n(.*\n)*.*shoal account request prints it/);
    assert.equal((await shown(laptop)).waiting, 2);
    const carried = await ok(laptop, "account", "request");
    await machines.accept(Buffer.from(carried.stdout, "latin1"));
    const after = await shown(laptop);
    assert.deepEqual([after.status, after.version, after.waiting], [0, 2, null]);
    assert.match(after.stderr, /the change that waited has been accepted/);

    await machines.keys.stopListening();
    const offline = await laptop.run(["account", "add-recovery", laptop.path("more"), "--yes"]);
    assert.equal(offline.status, 75, offline.stderr);
    assert.match(offline.stderr, /refuses connections; going by what this computer knows/);
    await machines.accept(Buffer.from((await ok(laptop, "account", "request")).stdout, "latin1"));
    await ok(laptop, "sync");
    const end = await shown(laptop, "--offline");
    assert.deepEqual([end.version, end.waiting, end.recoveries.length], [3, null, 2]);
  });

  test("a refusal is told with its code, and what the machine says can't steer the terminal", async () => {
    await admitted();
    machines.answer = { code: "SIGNER", text: "no \u001b[2Jway" };
    const refused = await laptop.run(["account", "rotate-master", "--yes"]);
    assert.equal(refused.status, 77, refused.stderr);
    assert.match(refused.stderr, /refused it: SIGNER: no \\x1b\[2Jway/);
    machines.answer = { code: "VERSION", text: "other" };
    const late = await laptop.run(["account", "rotate-master", "--yes"]);
    assert.match(late.stderr, /another change came first/);
    assert.equal((await shown(laptop)).waiting, null);
    machines.answer = { code: "ACCEPTED", text: "a lie" };
    const lie = await laptop.run(["account", "rotate-master", "--yes"]);
    assert.equal(lie.status, 75, "what is not shown has not been accepted");
    assert.match(lie.stderr, /does not show it yet/);
  });

  test("a machine that is a moment behind hides nothing", async () => {
    await admitted();
    await ok(laptop, "account", "rotate-master", "--yes");
    await machines.show("fetch", machines.versions.slice(0, 1));
    await learned(laptop, 0);
    await ok(laptop, "sync");
    await learned(laptop, 60);
    assert.equal((await laptop.run(["sync"])).status, 76);
  });
});

test("a machine that shows less, or other versions, is told of each time until it shows the known chain again", async () => {
  await admitted();
  await ok(laptop, "account", "rotate-master", "--yes");
  await ok(laptop, "sync");
  await learned(laptop, 60);
  const good = [...machines.versions];

  await machines.show("fetch", good.slice(0, 1));
  for (let time = 0; time < 2; time++) {
    const rollback = await laptop.run(["sync"]);
    assert.equal(rollback.status, 76, rollback.stderr);
    assert.match(rollback.stderr, /error: (ROLLBACK: )?"127\.0\.0\.1": it shows version 1 of 2\n/);
  }
  const seen = await shown(laptop);
  assert.deepEqual([seen.status, seen.version, seen.machines[0]?.code], [76, 2, "ROLLBACK"]);
  const [first, second] = good;
  assert.ok(first !== undefined && second !== undefined);

  const forks = [
    [first, { ...second, accepted: second.accepted + 1 }],
    [{ ...first, accepted: first.accepted - 1 }, second],
    [first, { ...second, signed: Buffer.from(second.signed.toString("latin1").replace(/time 1/, "time 2"), "latin1") }],
    [first, second, second],
  ];
  for (const versions of forks) {
    await machines.show("fetch", versions);
    const fork = await laptop.run(["sync"]);
    assert.equal(fork.status, 76, fork.stderr);
    assert.match(
      fork.stderr,
      /error: (FORK: )?"127\.0\.0\.1": it shows (another version|version [12] as accepted|versions that do not hold)/,
    );
    assert.match(fork.stderr, /hint: .*tell the operator/);
  }
  await machines.show("keys", good.slice(0, 1));
  const change = await laptop.run(["account", "rotate-master", "--yes"]);
  assert.equal(change.status, 76, change.stderr);
  assert.match(change.stderr, /"localhost": it shows version 1 of 2/);

  await rm(join(machines.fetchFolder, "account/chain"));
  assert.equal((await laptop.run(["sync"])).status, 76, "no chain at all is less, too");
  await machines.show("fetch", good);
  await ok(laptop, "sync");
  assert.equal((await shown(laptop)).status, 0);
});

test("another account under the same name is no account of a computer that has pinned its own", async () => {
  await admitted();
  const mallory = await machines.computer("mallory");
  assert.equal((await create(mallory)).status, 0);
  const signed = Buffer.from((await mallory.run(["account", "request"])).stdout, "latin1");
  const phone = await machines.computer("phone");
  await ok(phone, "init", "alice@example.org", ...machines.options, "--identity", join(laptop.config, "id_ed25519"));
  await ok(phone, "account", "trust", machines.standing?.id ?? "");
  await machines.show("fetch", [{ accepted: machines.standing?.accepted ?? 0, signed }]);
  const { status, stderr } = await phone.run(["sync"]);
  assert.equal(status, 76, stderr);
  assert.match(stderr, /shows the account \S{22}, this computer knows it as/);
  const other = await phone.run(["account", "trust", parseProposal(signed).id]);
  assert.equal(other.status, 64);
});

test("a computer that was told no id remembers the first one, and says so once", async () => {
  await admitted();
  const phone = await machines.computer("phone");
  await ok(phone, "init", "alice@example.org", ...machines.options, "--identity", join(laptop.config, "id_ed25519"));
  const first = await ok(phone, "sync");
  assert.match(first.stderr, /shows the account \S{22}; this computer remembers it from now on, unchecked/);
  assert.doesNotMatch((await ok(phone, "sync")).stderr, /shows the account/);
  assert.equal((await shown(phone)).known, "seen");
});

test("a server that shows no account is no server of an address: nothing proves its mail", async () => {
  await admitted();
  await rm(join(machines.fetchFolder, "account"), { recursive: true });
  const phone = await machines.computer("phone");
  await ok(phone, "init", "alice@example.org", ...machines.options, "--identity", join(laptop.config, "id_ed25519"));
  const { status, stderr } = await phone.run(["sync"]);
  assert.equal(status, 76, stderr);
  assert.match(stderr, /error: "127\.0\.0\.1" shows no account, so nothing proves its mail\nshoal: hint: /);
});
