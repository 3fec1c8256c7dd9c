/** Root on `ledger`: may withhold and delay, and lie about the past to a machine that remembers nothing; may not invent. */

import { setTimeout as sleep } from "node:timers/promises";
import { parseChain } from "#core/account/chain.ts";
import { directoryNamespace, parseDirectoryRecord, printDirectoryRecord } from "#core/account/directory.ts";
import { fromLedger } from "#core/account/feed.ts";
import { hashOfBody, joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { unixTime } from "#host/clock.ts";
import { type Ed25519Key, lineOf, nextState, Owner, signState } from "#test/owner.ts";
import { until } from "#test/until.ts";
import { asPerson } from "#test/world/stage.ts";
import type { Attempt } from "./attempt.ts";
import {
  asRoot,
  authorizedKeys,
  chainAt,
  client,
  domain,
  handIn,
  hasPower,
  meddle,
  must,
  nextHonest,
  outlastDelay,
  type Scene,
  sealLines,
  setService,
  speakAsLedger,
  standingAt,
  untilSame,
  withThief,
} from "./scene.ts";

const machines = ["keys", "fetch", "in"] as const;
const now = unixTime;

/** With the honest ledger out of the way, tells every machine these records; none may take any. */
function told(
  what: string,
  make: (scene: Scene) => Promise<{ of: "directory" | "state"; signed: Buffer; accepted?: number }[]>,
): Attempt<Scene> {
  return {
    what,
    documented: "can't",
    async run(scene) {
      const before = await view(scene);
      const records = await make(scene);
      const frames = records.map(
        ({ of, signed, accepted = now() }) => ({ kind: "record", of, signed, accepted }) as const,
      );
      await setService(scene, "ledger", "ledger", "down");
      const answers = await Promise.all(machines.map((machine) => speakAsLedger(scene, machine, frames)));
      for (const [index, heard] of answers.entries()) {
        const said = `${machines[index]} said: ${heard.slice(0, 300)}`;
        if (/^took /m.test(heard)) return said;
        if (!/^refused /m.test(heard)) throw new Error(`neither took nor refused: ${said}`);
      }
      const after = await view(scene);
      return JSON.stringify(before) === JSON.stringify(after) ? null : "the machines' files are others now";
    },
    mend,
  };
}

async function mend(scene: Scene): Promise<void> {
  await setService(scene, "ledger", "ledger", "up");
}

/** What the machines made of the accounts. */
async function view(scene: Scene): Promise<string[]> {
  return [
    await authorizedKeys(scene, "fetch", "alice"),
    await authorizedKeys(scene, "keys", "alice"),
    await sealLines(scene, "alice"),
    (await standingAt(scene, "fetch", "alice")).hash,
  ];
}

/** The directory as the ledger has it: signed records. */
async function directoryRecords(scene: Scene): Promise<Buffer[]> {
  const dump = "/usr/bin/node /usr/lib/shoal/shoal-accept.mjs dump /etc/shoal/accept.json";
  const { stdout } = await must(scene.stage.exec("fetch", ["sh", "-c", dump]));
  const reader = fromLedger();
  const greeted =
    stdout.subarray(0, 6).toString("latin1") === "shoal-"
      ? stdout
      : Buffer.concat([Buffer.from("shoal-feed/v1\n"), stdout]);
  const end = greeted.lastIndexOf("end\n");
  return reader
    .push(end === greeted.length - 4 ? greeted.subarray(0, end) : greeted)
    .flatMap((frame) => (frame.kind === "record" && frame.of === "directory" ? [frame.signed] : []));
}

/** A directory record on top of the real one that makes these changes, signed by whoever. */
async function forgedDirectory(scene: Scene, change: (name: string) => string[], signer: Ed25519Key): Promise<Buffer> {
  const last = (await directoryRecords(scene)).at(-1);
  if (last === undefined) throw new Error("there is no directory");
  const { body } = splitSigned(last, 4 * 1024 * 1024);
  const { version, time, operators } = parseDirectoryRecord(body);
  const head = printDirectoryRecord({
    domain,
    version: version + 1,
    prev: hashOfBody(body),
    time: Math.max(time, now()),
    operators,
    changes: [],
  });
  const forged = Buffer.concat([
    head,
    Buffer.from(
      change("alice")
        .map((line) => `${line}\n`)
        .join(""),
    ),
  ]);
  return joinSigned({ body: forged, signatures: [signMessage(signer, directoryNamespace(domain), forged)] });
}

export const ledgerRootAttempts: readonly Attempt<Scene>[] = [
  {
    what: "withhold a change",
    documented: "can",
    async run(scene) {
      await asRoot(scene, "ledger", "sv pause /etc/service/ledger");
      const standing = await standingAt(scene, "fetch", "alice");
      const signed = nextHonest(scene.alice, standing);
      const early = await handIn(scene, "alice", signed, { seconds: 4 });
      const { hash } = await standingAt(scene, "fetch", "alice");
      await asRoot(scene, "ledger", "sv cont /etc/service/ledger");
      if (early !== null || hash !== standing.hash) return null;
      const late = await handIn(scene, "alice", signed);
      return late?.code === "ACCEPTED" ? "it waited as long as root liked; the owner saw no answer meanwhile" : null;
    },
    mend: async (scene) => void (await asRoot(scene, "ledger", "sv cont /etc/service/ledger")),
  },
  told("add a key to an account, signed by a stranger", async (scene) => {
    return [{ of: "state", signed: withThief(scene, await standingAt(scene, "fetch", "alice"), [scene.thief]) }];
  }),
  told("add a key to an account, signed by a device of it", async (scene) => {
    return [{ of: "state", signed: withThief(scene, await standingAt(scene, "fetch", "alice"), [scene.alice.laptop]) }];
  }),
  told("make a stranger's key a master", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    const state = nextState(standing, { master: [...standing.state.master, lineOf(scene.thief)] });
    return [{ of: "state", signed: signState(state, [scene.thief]) }];
  }),
  told("roll an account back, by an old state", async (scene) => {
    const versions = parseChain(await chainAt(scene, "fetch", "alice"));
    return versions.slice(0, -1).map(({ signed }) => ({ of: "state", signed }) as const);
  }),
  told("skip a version", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    const state = nextState(standing, { version: standing.state.version + 2 });
    return [{ of: "state", signed: signState(state, [scene.alice.master]) }];
  }),
  told("fork an account: another state signed long ago on an older version", async (scene) => {
    const versions = parseChain(await chainAt(scene, "fetch", "alice"));
    const standing = await standingAt(scene, "fetch", "alice");
    const old = versions.at(-2);
    if (old === undefined) throw new Error("alice has one version only");
    const { body } = splitSigned(old.signed, 65_536);
    const state = nextState({ ...standing, hash: hashOfBody(body) }, { version: standing.state.version });
    return [{ of: "state", signed: signState({ ...state, time: now() }, [scene.alice.master]) }];
  }),
  told("accept a state in the future, so that a recovery key's say seems to have ended", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    return [{ of: "state", signed: nextHonest(scene.alice, standing), accepted: now() + 72 * 3600 }];
  }),
  told("accept a state before the last one", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    return [{ of: "state", signed: nextHonest(scene.alice, standing), accepted: standing.accepted - 1 }];
  }),
  told("put the stranger's own account under alice's name", async (scene) => {
    const stranger = new Owner(domain, now());
    const change = (name: string): string[] => [`add ${name} ${stranger.id} 100000000 1`];
    return [
      { of: "directory", signed: await forgedDirectory(scene, change, scene.thief) },
      { of: "state", signed: stranger.genesis },
    ];
  }),
  told("give the stranger an account of a new name", async (scene) => {
    const stranger = new Owner(domain, now());
    const change = (): string[] => [`add thief ${stranger.id} 100000000 1`];
    return [
      { of: "directory", signed: await forgedDirectory(scene, change, scene.thief) },
      { of: "state", signed: stranger.genesis },
    ];
  }),
  told("remove an account", async (scene) => {
    return [{ of: "directory", signed: await forgedDirectory(scene, (name) => [`remove ${name}`], scene.thief) }];
  }),
  told("suspend an account, signed by its owner instead of the operator", async (scene) => {
    return [
      { of: "directory", signed: await forgedDirectory(scene, (name) => [`suspend ${name}`], scene.alice.master) },
    ];
  }),
  told("play an old record of the directory again", async (scene) => {
    return (await directoryRecords(scene)).slice(0, -1).map((signed) => ({ of: "directory", signed }) as const);
  }),
  {
    what: "break the machines' programs with garbage",
    documented: "can't",
    async run(scene) {
      await setService(scene, "ledger", "ledger", "down");
      const lines = [
        "state 1 999999999999\n",
        "x".repeat(3_000_000),
        "directory 0 5\nhello",
        "took directory 1\n",
        "\0\0\0\n",
      ];
      for (const line of lines) {
        const raw = Buffer.from(line);
        await Promise.all(machines.map((machine) => speakAsLedger(scene, machine, [], raw)));
      }
      await setService(scene, "ledger", "ledger", "up");
      const standing = await standingAt(scene, "fetch", "alice");
      let accepted: string | undefined;
      await until("an honest change", async () => {
        accepted = (await handIn(scene, "alice", nextHonest(scene.alice, standing)))?.code;
        return accepted === "ACCEPTED";
      });
      await untilSame(scene, "alice");
      return null;
    },
    mend,
  },
  {
    what: "use the keys of its links for anything but handing on states",
    documented: "can't",
    async run(scene) {
      const ssh =
        "-F none -o BatchMode=yes -o UserKnownHostsFile=/etc/shoal/shoal-ledger/known_hosts -o ConnectTimeout=3";
      const open = async (machine: string): Promise<string | null> => {
        const to = `${machine}.mail.${domain}`;
        const key = `-i /etc/shoal/shoal-ledger/alpha-${machine}`;
        const tries = [
          `printf 'ls /\\n' | sftp -q -b - ${ssh} ${key} ledger@${to}`,
          ...["root", "alice", "deposit", "usage", "shoal-keys", "shoal-accept", "nobody"].map(
            (user) => `ssh ${ssh} ${key} ${user}@${to} true`,
          ),
          `ssh ${ssh} ${key} ledger@${to} 'echo got-a-shell' | grep got-a-shell`,
          `ssh ${ssh} ${key} -o ExitOnForwardFailure=yes -W 127.0.0.1:25 ledger@${to} </dev/null | grep 220`,
        ];
        for (const script of tries) {
          const { status } = await scene.stage.exec("ledger", ["sh", "-c", `timeout 8 sh -c "$0"`, script], {});
          if (status === 0) return script;
        }
        return null;
      };
      return (await Promise.all(machines.map(open))).find((opened) => opened !== null) ?? null;
    },
  },
  {
    what: "read mail",
    documented: "can't",
    async run(scene) {
      const found = await asRoot(
        scene,
        "ledger",
        "grep -rlaE 'age-encryption.org|PRIVATE KEY' /var /srv /etc/shoal /run 2>/dev/null | head; true",
      );
      // Keys of its own: of its links, and the one that signs mailboxes.
      const own = ["/etc/shoal/shoal-ledger/", "/var/lib/shoal/ledger/signer"];
      const foreign = found.split("\n").filter((file) => file !== "" && !own.some((path) => file.startsWith(path)));
      return foreign.length === 0 ? null : `it holds ${foreign.join(" ")}`;
    },
  },
  {
    what: "change the stored states of an account, so that they are handed on after a restart",
    documented: "can't",
    async run(scene) {
      const before = await view(scene);
      const standing = await standingAt(scene, "fetch", "alice");
      const values = `'${standing.id}', ${standing.state.version + 1}, ${now()}, :signed`;
      const sql = `INSERT INTO records (account, version, accepted, signed) VALUES (${values})`;
      await meddle(scene, "ledger", sql, withThief(scene, standing, [scene.thief]));
      await sleep(4000);
      const gained = await hasPower(scene, "alice", scene.thief);
      const after = await view(scene);
      return gained ?? (JSON.stringify(before) === JSON.stringify(after) ? null : "the machines' files are others now");
    },
    mend: async (scene) => {
      const { id, state } = await standingAt(scene, "fetch", "alice");
      await meddle(scene, "ledger", `DELETE FROM records WHERE account = '${id}' AND version > ${state.version}`);
      await until("the ledger works", async () => {
        return (
          (await handIn(scene, "alice", nextHonest(scene.alice, await standingAt(scene, "fetch", "alice"))))?.code ===
          "ACCEPTED"
        );
      });
    },
  },
  {
    what: "show a machine that remembers nothing an account's past, so that a removed device is let in again",
    documented: "can",
    async run(scene) {
      // The laptop goes and comes back, so that there is a past to show.
      const start = await standingAt(scene, "fetch", "alice");
      const device = { auth: true, seal: true, key: lineOf(scene.thief) };
      const withOld = signState(nextState(start, { devices: [...start.state.devices, device], time: now() }), [
        scene.alice.master,
      ]);
      if ((await handIn(scene, "alice", withOld))?.code !== "ACCEPTED") throw new Error("the device was not added");
      await untilSame(scene, "alice");
      const between = await standingAt(scene, "fetch", "alice");
      const without = signState(nextState(between, { devices: start.state.devices, time: now() }), [
        scene.alice.master,
      ]);
      if ((await handIn(scene, "alice", without))?.code !== "ACCEPTED") throw new Error("the device was not removed");
      await untilSame(scene, "alice");
      if ((await hasPower(scene, "alice", scene.thief)) !== null) return null;
      await must(scene.stage.exec("user", asPerson("alice", "shoal sync")));
      await outlastDelay();

      await meddle(
        scene,
        "ledger",
        `DELETE FROM records WHERE account = '${start.id}' AND version > ${between.state.version}`,
      );
      await meddle(scene, "fetch", "DELETE FROM records");
      await until("fetch is told of the past", async () => {
        return (await authorizedKeys(scene, "fetch", "alice")).includes(lineOf(scene.thief));
      });
      const { status, said } = await client(scene, "alice", "shoal sync");
      const named = status !== 0 && /ROLLBACK/.test(said);
      if (!named) throw new Error(`the owner's client did not name it: ${said.slice(-300)}`);
      return "fetch let the removed device in; the owner's client said ROLLBACK";
    },
    async mend(scene) {
      const removed = await standingAt(scene, "keys", "alice");
      const last = parseChain(await chainAt(scene, "keys", "alice")).at(-1);
      if (last === undefined) throw new Error("keys shows no chain");
      await until("the ledger has the latest state again", async () => {
        const answer = await handIn(scene, "alice", last.signed);
        return answer?.code === "ACCEPTED";
      });
      await until("fetch is up to date", async () => (await standingAt(scene, "fetch", "alice")).hash === removed.hash);
      // The ledger has caught up with machines that were ahead of it: they are served again.
      const next = await handIn(scene, "alice", nextHonest(scene.alice, removed));
      if (next?.code !== "ACCEPTED") throw new Error(`an honest change was answered ${next?.code}`);
      await untilSame(scene, "alice");
    },
  },
];
