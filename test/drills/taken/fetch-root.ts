/** Root on `fetch`, as far as accounts go: may let anybody at sealed files there; may not change an account, nor read. */

import { parseChain, printChain } from "#core/account/chain.ts";
import { sendRaw, untilAllArrived } from "#test/flows/mail-flow.ts";
import { lineOf } from "#test/owner.ts";
import { until } from "#test/until.ts";
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
  must,
  nextHonest,
  outlastDelay,
  type Scene,
  sealLines,
  standingAt,
  untilSame,
  withThief,
} from "./scene.ts";

const keysFile = "/etc/ssh/authorized_keys/alice";
const stolen = "/root/stolen";

async function copyOver(scene: Scene): Promise<void> {
  await asRoot(scene, "fetch", `cat >> ${keysFile}`, Buffer.from(`restrict ${lineOf(scene.thief)}\n`));
}

/** Starts accept again, which makes every file anew. */
async function regenerate(scene: Scene): Promise<void> {
  await asRoot(scene, "fetch", "sv -w 10 restart /etc/service/accept");
  await until("fetch has alice's keys", async () => {
    const lines = await authorizedKeys(scene, "fetch", "alice");
    return lines.includes(lineOf(scene.alice.laptop)) && !lines.includes(lineOf(scene.thief));
  });
}

async function steal(scene: Scene): Promise<string[]> {
  const sftp = `rm -rf ${stolen}; mkdir ${stolen} && printf 'get mail/* ${stolen}/\\n' | sftp -q -b - -i /root/thief alice@fetch.mail.${domain}`;
  await scene.stage.exec("user", ["sh", "-c", sftp]);
  return (await asRoot(scene, "user", `ls ${stolen} 2>/dev/null || true`)).split("\n").filter(Boolean);
}

export const fetchRootAttempts: readonly Attempt<Scene>[] = [
  {
    what: "let a stranger take sealed files, by a copied-over authorized_keys",
    documented: "can",
    async run(scene) {
      const data = Buffer.from("From: carol@post.example\r\nSubject: sealed\r\n\r\nFor alice alone.\r\n.\r\n");
      await sendRaw(scene.stage, { from: "<carol@post.example>", to: [`alice@${domain}`], data });
      await untilAllArrived(scene.stage);
      await copyOver(scene);
      const files = await steal(scene);
      return files.length === 0 ? null : `the stranger has ${files.length} sealed file`;
    },
  },
  {
    what: "read what the stranger took",
    documented: "can't",
    async run(scene) {
      const files = (await asRoot(scene, "user", `ls ${stolen}/*.age`)).split("\n").filter(Boolean);
      for (const file of files) {
        const age = await scene.stage.exec("user", ["age", "-d", "-i", "/root/thief", "-o", "/dev/null", file]);
        if (age.status === 0) return `${file} opened`;
      }
      const { status } = await scene.stage.exec("user", asPerson("alice", "shoal sync"));
      return status === 0 ? null : "not even the owner can open it";
    },
  },
  {
    what: "keep a copied-over authorized_keys through a start of the machine's programs",
    documented: "can't",
    async run(scene) {
      await copyOver(scene);
      await regenerate(scene);
      return await hasPower(scene, "alice", scene.thief);
    },
  },
  {
    what: "keep a copied-over authorized_keys through a change by the owner",
    documented: "can't",
    async run(scene) {
      await copyOver(scene);
      const answer = await handIn(scene, "alice", nextHonest(scene.alice, await standingAt(scene, "keys", "alice")));
      if (answer?.code !== "ACCEPTED") throw new Error(`an honest change was answered ${answer?.code}`);
      await untilSame(scene, "alice");
      return await hasPower(scene, "alice", scene.thief);
    },
    mend: regenerate,
  },
  {
    what: "change an account with what fetch holds: its own copy of the chain, the host key, a device of the owner",
    documented: "can't",
    async run(scene) {
      const standing = await standingAt(scene, "fetch", "alice");
      const before = await sealLines(scene, "alice");
      const signed = withThief(scene, standing, [scene.alice.laptop]);
      const login = `sftp -q -b - -o BatchMode=yes -o IdentitiesOnly=yes -i .config/shoal/default/id_ed25519 alice@keys.mail.${domain}`;
      const device = await scene.stage.exec("user", asPerson("alice", `echo ls | ${login}`));
      if (device.status === 0) return "keys lets a device in";
      const answer = await handIn(scene, "alice", signed);
      if (answer === null || answer.code === "ACCEPTED") return `the answer was ${answer?.code}`;
      return (await sealLines(scene, "alice")) === before
        ? await hasPower(scene, "alice", scene.thief)
        : "other recipients";
    },
  },
  {
    what: "roll an owner's view of the account back unnoticed",
    documented: "can't",
    async run(scene) {
      await must(scene.stage.exec("user", asPerson("alice", "shoal sync")));
      await outlastDelay();
      const file = chainFile("fetch", "alice");
      const versions = parseChain(await chainAt(scene, "fetch", "alice"));
      await asRoot(scene, "fetch", `cp ${file} /root/chain; cat > ${file}`, printChain(versions.slice(0, -1)));
      const { status, said } = await client(scene, "alice", "shoal sync");
      return status !== 0 && /ROLLBACK/.test(said) ? null : `the owner's client said: ${said.slice(-300)}`;
    },
    mend: async (scene) => void (await asRoot(scene, "fetch", `cat /root/chain > ${chainFile("fetch", "alice")}`)),
  },
  {
    what: "reach keys, ledger or in",
    documented: "can't",
    async run(scene) {
      for (const host of ["keys", "ledger", "in"]) {
        if (await answersFrom(scene, "fetch", `${host}.mail.${domain}`, 22)) return `port 22 of ${host} answers`;
      }
      return null;
    },
  },
];
