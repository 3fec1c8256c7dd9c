/** Root on `keys`: may refuse and delay; may not add, bring back, roll back, fork, or shut out for good. */

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseChain, printChain } from "#core/account/chain.ts";
import { printFrame } from "#core/account/feed.ts";
import { unixTime } from "#host/clock.ts";
import { lineOf, nextState, signState } from "#test/owner.ts";
import { SOON_SECONDS, until } from "#test/until.ts";
import { asPerson } from "#test/world/stage.ts";
import type { Attempt } from "./attempt.ts";
import {
  answersFrom,
  asRoot,
  authorizedKeys,
  chainAt,
  chainFile,
  client,
  domain,
  handIn,
  hasPower,
  impersonate,
  laptopFile,
  meddle,
  must,
  nextHonest,
  outlastDelay,
  recoveryFile,
  type Scene,
  sealLines,
  setService,
  standingAt,
  submit,
  withThief,
} from "./scene.ts";

const socket = "/run/keys/socket";
const acceptSocket = "/run/accept/feed/socket";

/** Hands proposals to the ledger in place of shoal-keys, and gives the codes that it answers with. */
async function proposeAsKeys(scene: Scene, proposals: readonly { name: string; signed: Buffer }[]): Promise<string[]> {
  const frames = proposals.map(({ name, signed }, number) => printFrame({ kind: "proposal", number, name, signed }));
  const say = Buffer.concat([Buffer.from("shoal-feed/v1\n"), ...frames]);
  const heard = await impersonate(scene, "keys", { service: "keys", socket, say });
  return [...heard.matchAll(/^answer \d+ (\S+)/gm)].map(([, code = ""]) => code);
}

/** Null if all machines are as they were for alice. */
async function changed(scene: Scene, before: { hash: string; seal: string }): Promise<string | null> {
  const gained = await hasPower(scene, "alice", scene.thief);
  if (gained !== null) return gained;
  const { hash } = await standingAt(scene, "fetch", "alice");
  if (hash !== before.hash) return "fetch has another state";
  return (await sealLines(scene, "alice")) === before.seal ? null : "in has other recipients";
}

async function now(scene: Scene): Promise<{ hash: string; seal: string }> {
  return { hash: (await standingAt(scene, "fetch", "alice")).hash, seal: await sealLines(scene, "alice") };
}

/** Adds a device with the thief's key by these means; it must not get anywhere. */
function forged(what: string, make: (scene: Scene) => Promise<{ name: string; signed: Buffer }[]>): Attempt<Scene> {
  return {
    what,
    documented: "can't",
    async run(scene) {
      const before = await now(scene);
      const codes = await proposeAsKeys(scene, await make(scene));
      if (codes.length === 0) throw new Error("the ledger answered nothing");
      if (codes.includes("ACCEPTED")) return `the ledger answered ${codes.join(", ")}`;
      await sleep(500);
      return await changed(scene, before);
    },
  };
}

/** What the owner's client says of a chain that `keys` shows. @param isLess it lacks something, which a delay might, too */
function shown(
  what: string,
  { code, isLess = false }: { code: RegExp; isLess?: boolean },
  forge: (chain: Buffer, scene: Scene) => Promise<Buffer>,
): Attempt<Scene> {
  return {
    what,
    documented: "can't",
    async run(scene) {
      await must(scene.stage.exec("user", asPerson("alice", "shoal account show --keys")));
      if (isLess) await outlastDelay();
      const file = chainFile("keys", "alice");
      const fake = await forge(await chainAt(scene, "keys", "alice"), scene);
      await asRoot(scene, "keys", `cp ${file} /root/chain; cat > ${file}`, fake);
      const { status, said } = await client(scene, "alice", "shoal account show --keys");
      if (status !== 0 && code.test(said)) return null;
      return `the owner's client says: ${said.slice(-300)} (exit status ${status})`;
    },
    mend: async (scene) => void (await asRoot(scene, "keys", `cat /root/chain > ${chainFile("keys", "alice")}`)),
  };
}

export const keysRootAttempts: readonly Attempt<Scene>[] = [
  {
    what: "refuse a change, and say that it was accepted",
    documented: "can",
    async run(scene) {
      const standing = await standingAt(scene, "fetch", "alice");
      const signed = nextHonest(scene.alice, standing);
      await setService(scene, "keys", "keys", "down");
      const digest = createHash("sha256").update(signed).digest("base64");
      const lie = `shoal-result/v1\nfile ${digest}\ncode ACCEPTED\nversion ${standing.state.version + 1}\ntext The state is accepted.\n`;
      await asRoot(scene, "keys", "cat > /srv/keys/alice/answer/result", Buffer.from(lie));
      const answer = await handIn(scene, "alice", signed);
      if (answer?.code !== "ACCEPTED") return null;
      const { hash } = await standingAt(scene, "fetch", "alice");
      return hash === standing.hash ? "the lie was read; fetch, which the client asks too, shows the old state" : null;
    },
    mend: async (scene) => await setService(scene, "keys", "keys", "up"),
  },
  {
    what: "delay a change",
    documented: "can",
    async run(scene) {
      await asRoot(scene, "keys", "sv pause /etc/service/keys");
      const standing = await standingAt(scene, "fetch", "alice");
      const signed = nextHonest(scene.alice, standing);
      const early = await handIn(scene, "alice", signed, { seconds: 3 });
      await asRoot(scene, "keys", "sv cont /etc/service/keys");
      if (early !== null) return null;
      const late = await handIn(scene, "alice", signed);
      return late?.code === "ACCEPTED" ? "it took as long as root liked, and then went through" : null;
    },
    mend: async (scene) => void (await asRoot(scene, "keys", "sv cont /etc/service/keys")),
  },
  {
    what: "shut an owner out for good",
    documented: "can't",
    async run(scene) {
      await setService(scene, "keys", "keys", "down");
      const { status } = await client(scene, "alice", "shoal account rotate-master --yes");
      if (status === 0) return "the client took it for done";
      const request = await must(scene.stage.exec("user", asPerson("alice", "shoal account request")));
      await submit(scene, request.stdout);
      await until(
        "the change on fetch",
        async () => {
          const { master } = (await standingAt(scene, "fetch", "alice")).state;
          return !master.includes(lineOf(scene.alice.master));
        },
        SOON_SECONDS,
      );
      return null;
    },
    mend: async (scene) => {
      await setService(scene, "keys", "keys", "up");
      const standing = await standingAt(scene, "fetch", "alice");
      const signed = signState(nextState(standing, { master: [lineOf(scene.alice.master)] }), [
        scene.alice.recovery,
        scene.alice.master,
      ]);
      await until("the ledger's link", async () => {
        return (await handIn(scene, "alice", signed, { key: recoveryFile }))?.code === "ACCEPTED";
      });
    },
  },
  forged("add a key to an account, signed by nobody", async (scene) => {
    return [{ name: "alice", signed: withThief(scene, await standingAt(scene, "fetch", "alice"), []) }];
  }),
  forged("add a key to an account, signed by itself", async (scene) => {
    return [{ name: "alice", signed: withThief(scene, await standingAt(scene, "fetch", "alice"), [scene.thief]) }];
  }),
  forged("add a key to an account, signed by a device of it", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    return [{ name: "alice", signed: withThief(scene, standing, [scene.alice.laptop]) }];
  }),
  forged("add a key to an account, signed by another account's master", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    return ["alice", "bob"].map((name) => ({ name, signed: withThief(scene, standing, [scene.bob.master]) }));
  }),
  forged("make the stranger's key a master", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    const state = nextState(standing, { master: [...standing.state.master, lineOf(scene.thief)] });
    return [{ name: "alice", signed: signState(state, [scene.thief]) }];
  }),
  forged("put the signatures of an old state under a new one", async (scene) => {
    const [first] = parseChain(await chainAt(scene, "keys", "alice"));
    if (first === undefined) throw new Error("keys shows no chain");
    const begin = first.signed.indexOf("-----BEGIN");
    const next = withThief(scene, await standingAt(scene, "fetch", "alice"), []);
    return [{ name: "alice", signed: Buffer.concat([next, first.signed.subarray(begin)]) }];
  }),
  forged("hand in every old state again (bring back what was removed)", async (scene) => {
    const versions = parseChain(await chainAt(scene, "keys", "alice"));
    return versions.slice(0, -1).map(({ signed }) => ({ name: "alice", signed }));
  }),
  forged("hand in another account's state under this name", async (scene) => {
    const standing = await standingAt(scene, "fetch", "bob");
    return [{ name: "alice", signed: signState(nextState(standing, {}), [scene.bob.master]) }];
  }),
  forged("change one byte of an honest change on its way", async (scene) => {
    const standing = await standingAt(scene, "fetch", "alice");
    const signed = signState(nextState(standing, { time: standing.state.time + 1 }), [scene.alice.master]);
    const at = signed.indexOf("\ntime ") + "\ntime ".length;
    const bytes = Buffer.from(signed);
    bytes.writeUInt8(bytes.readUInt8(at) === 0x31 ? 0x30 + 2 : 0x31, at);
    return [{ name: "alice", signed: bytes }];
  }),
  {
    what: "let a stranger log in on keys, and change the account from there",
    documented: "can't",
    async run(scene) {
      const before = await now(scene);
      const file = "/etc/ssh/authorized_keys/alice";
      await asRoot(
        scene,
        "keys",
        `cp ${file} /root/keys; cat >> ${file}`,
        Buffer.from(`restrict ${lineOf(scene.thief)}\n`),
      );
      const standing = await standingAt(scene, "fetch", "alice");
      const signed = withThief(scene, standing, [scene.thief]);
      const put = `cat > /tmp/stolen && echo 'put /tmp/stolen /proposal' | sftp -q -b - -i /root/thief alice@keys.mail.${domain}`;
      await must(scene.stage.exec("user", ["sh", "-c", put], { input: signed }));
      await sleep(3000);
      const answer = await asRoot(scene, "keys", "cat /srv/keys/alice/answer/result");
      if (!/^code (UNAUTHORIZED|SIGNER)$/m.test(answer)) return `the answer was ${answer}`;
      // The login on keys is root's to give; it is the change that must fail, and the login to fetch.
      await asRoot(scene, "keys", `cat /root/keys > ${file}`);
      return await changed(scene, before);
    },
    mend: async (scene) => void (await asRoot(scene, "keys", "cat /root/keys > /etc/ssh/authorized_keys/alice")),
  },
  {
    what: "copy authorized_keys over to be let in elsewhere: log in on fetch with what keys holds",
    documented: "can't",
    async run(scene) {
      const found = await asRoot(
        scene,
        "keys",
        "find / -xdev \\( -name 'id_*' -o -name '*_key' \\) -type f 2>/dev/null",
      );
      const tried: string[] = [];
      for (const file of found.trim().split("\n").filter(Boolean)) {
        for (const host of ["fetch", "in", "ledger"]) {
          const ssh = `timeout 5 ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=3 -i ${file}`;
          const script = `command -v ssh >/dev/null || exit 9; ${ssh} alice@${host}.mail.${domain} true`;
          const { status } = await scene.stage.exec("keys", ["sh", "-c", script]);
          tried.push(`${file} ${host} ${status}`);
          if (status === 0) return `${file} opens ${host}`;
        }
      }
      if (tried.length === 0) throw new Error("keys has not even a host key");
      return null;
    },
  },
  {
    what: "reach any other machine of the fleet by itself",
    documented: "can't",
    async run(scene) {
      for (const host of ["ledger", "in", "fetch", "spam-in"]) {
        if (await answersFrom(scene, "keys", `${host}.mail.${domain}`, 22)) return `port 22 of ${host} answers`;
      }
      return null;
    },
  },
  shown("roll an owner's view back", { code: /ROLLBACK/, isLess: true }, async (chain) =>
    printChain(parseChain(chain).slice(0, -1)),
  ),
  shown("show an owner a chain with a stranger's key", { code: /FORK/ }, async (chain, scene) => {
    const versions = parseChain(chain);
    const standing = await standingAt(scene, "fetch", "alice");
    const forgedVersion = { accepted: standing.accepted + 1, signed: withThief(scene, standing, [scene.thief]) };
    return printChain([...versions, forgedVersion]);
  }),
  shown("show an owner somebody else's chain", { code: /FORK/ }, async (_chain, scene) => {
    return await chainAt(scene, "keys", "bob");
  }),
  shown("show an owner a cut chain", { code: /FORK/ }, async (chain) => chain.subarray(0, chain.length - 40)),
  {
    what: "feed the ledger garbage until it serves nobody",
    documented: "can't",
    async run(scene) {
      const garbage = [
        Buffer.from("shoal-feed/v1\n"),
        Buffer.alloc(2_000_000, "x"),
        Buffer.from(`proposal 1 alice 999999999999\n`),
      ];
      for (const say of [Buffer.concat(garbage), Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.alloc(500_000)]) {
        await impersonate(scene, "keys", { service: "keys", socket, say, seconds: 2 });
        await impersonate(scene, "keys", { service: "accept", socket: acceptSocket, say, seconds: 2 });
      }
      const ofAlice = await standingAt(scene, "fetch", "alice");
      const flood = Array.from({ length: 3000 }, (_, index) => {
        const state = nextState(ofAlice, { time: ofAlice.state.time + index });
        return { name: "alice", signed: signState(state, [scene.thief]) };
      });
      const flooding = proposeAsKeys(scene, flood);
      await sleep(1500);
      const standing = await standingAt(scene, "fetch", "bob");
      const honest = nextHonest(scene.bob, standing);
      const started = performance.now();
      await submit(scene, honest);
      await until(
        "bob's change on fetch",
        async () => {
          return (await standingAt(scene, "fetch", "bob")).state.version === standing.state.version + 1;
        },
        SOON_SECONDS,
      );
      const seconds = (performance.now() - started) / 1000;
      await flooding;
      return seconds > 8 ? `an honest change took ${seconds.toFixed(1)} s beside the flood` : null;
    },
  },
  {
    what: "claim to have other states than the ledger, so that it changes its own",
    documented: "can't",
    async run(scene) {
      const before = await now(scene);
      const { id, state } = await standingAt(scene, "fetch", "alice");
      const have = (version: number, hash: string): Buffer =>
        Buffer.concat([
          Buffer.from("shoal-feed/v1\n"),
          ...[
            { kind: "have", account: null, version: 1, hash: Buffer.alloc(32).toString("base64") } as const,
            { kind: "have", account: id, version, hash } as const,
            { kind: "ready" } as const,
          ].map(printFrame),
        ]);
      const other = Buffer.alloc(32, 7).toString("base64");
      for (const version of [state.version, state.version + 5]) {
        await impersonate(scene, "keys", { service: "accept", socket: acceptSocket, say: have(version, other) });
      }
      await sleep(2500);
      return await changed(scene, before);
    },
  },
  {
    what: "forge the states that keys itself remembers, so that it lets a stranger in after a restart of its programs",
    documented: "can't",
    async run(scene) {
      const forgedState = withThief(scene, await standingAt(scene, "fetch", "alice"), [scene.thief]);
      const { id, state } = await standingAt(scene, "fetch", "alice");
      const values = `'${id}', ${state.version + 1}, ${unixTime()}, :signed`;
      await meddle(
        scene,
        "keys",
        `INSERT INTO records (account, version, accepted, signed) VALUES (${values})`,
        forgedState,
      );
      await until("keys works again", async () => (await authorizedKeys(scene, "keys", "alice")) !== "");
      await sleep(3000);
      return await hasPower(scene, "alice", scene.thief);
    },
    mend: async (scene) => {
      await setService(scene, "keys", "accept", "up");
      await until("keys is the ledger's again", async () => {
        const standing = await standingAt(scene, "fetch", "alice");
        return (await standingAt(scene, "keys", "alice")).hash === standing.hash;
      });
    },
  },
  {
    what: "read mail, or lie about whom mail is sealed to",
    documented: "can't",
    async run(scene) {
      const found = await asRoot(scene, "keys", "find / -xdev -name '*.age' -type f 2>/dev/null | head -n 1");
      if (found !== "") return `it holds ${found}`;
      const laptop = await scene.stage.as("alice", `cat ${laptopFile}.pub`);
      const [type = "", key = ""] = laptop.split(" ");
      return (await sealLines(scene, "alice")).includes(`seal ${type} ${key}`) ? null : "mail is sealed to other keys";
    },
  },
];
