/** Root on `out`: may read, change, keep and invent mail that leaves; may not get at stored mail, accounts or other machines. */

import { printFrame } from "#core/account/feed.ts";
import { receivedBy, untilAllArrived } from "#test/flows/mail-flow.ts";
import { until } from "#test/until.ts";
import { inbox } from "#test/world/send.ts";
import { post } from "#test/world/world.ts";
import type { Attempt } from "./attempt.ts";
import {
  answersFrom,
  asRoot,
  client,
  domain,
  handIn,
  hasPower,
  impersonate,
  meddle,
  nextHonest,
  type Scene,
  standingAt,
  submit,
  untilSame,
  withThief,
} from "./scene.ts";

const submitSocket = "/run/submit/socket";
const acceptSocket = "/run/accept/feed/socket";
const carol = "carol@post.example";

/** What Postfix at `post.example` has of mail with this text, once it has some. */
async function arrived(scene: Scene, text: string): Promise<string> {
  let found: string | undefined;
  await until(`mail with "${text}"`, async () => {
    const mails = (await inbox(scene.stage.exec, post)).map((mail) => mail.toString("latin1"));
    found = mails.find((mail) => mail.includes(text));
    return found !== undefined;
  });
  return found ?? "";
}

/** Hands mail to shoal-submit as the relay script does, for any login. */
async function submitAs(scene: Scene, login: string, command: string, message: string): Promise<string> {
  const head = `shoal-submit/v1\nlogin ${login}\ncommand ${command.length}\n${command}`;
  const input = Buffer.from(`${head}${message}\0end of submission\n`, "latin1");
  return await asRoot(scene, "out", `nc -N -U ${submitSocket}`, input);
}

export const outRootAttempts: readonly Attempt<Scene>[] = [
  {
    what: "read a message that leaves, and keep it from leaving, in shoal-submit's place",
    documented: "can",
    async run(scene) {
      const say = Buffer.from("out accepted: 1 recipient\nexit 0\n");
      const heard = impersonate(scene, "out", { service: "submit", socket: submitSocket, say, seconds: 30 });
      const sent = (async () => {
        await until("the impostor", async () => {
          const isThere = `sv status submit | grep -q ^down && ss -lx | grep -q ${submitSocket}`;
          return (await scene.stage.exec("out", ["sh", "-c", `cd /etc/service && ${isThere}`])).status === 0;
        });
        return await client(scene, "alice", `shoal send --anyway --to ${carol} --subject hers --body 'read by root'`);
      })();
      const [text, { status, said }] = await Promise.all([heard, sent]);
      return text.includes("read by root") && status === 0 ? `it read it, and alice was told "${said.trim()}"` : null;
    },
    async mend(scene) {
      await until(
        "shoal-submit",
        async () => (await client(scene, "alice", "shoal check bob@shoal.example")).status === 0,
      );
    },
  },
  {
    what: "send mail in an account's name, signed with the domain's keys",
    documented: "can",
    async run(scene) {
      const message = `From: alice@${domain}\nTo: ${carol}\nSubject: not hers\n\ninvented by root\n`;
      const said = await submitAs(scene, "alice", "send-anyway", message);
      if (!said.includes("exit 0")) return null;
      const mail = await arrived(scene, "invented by root");
      return /^DKIM-Signature: /m.test(mail) ? "it arrived, with a signature" : "it arrived";
    },
  },
  {
    what: "let a stranger send in an account's name, by a copied-over authorized_keys",
    documented: "can",
    async run(scene) {
      const { publicKey } = scene.thief;
      await asRoot(scene, "out", "cat >> /etc/ssh/authorized_keys/alice", Buffer.from(`restrict ${publicKey.line}\n`));
      const ssh = `timeout 20 ssh -F none -o BatchMode=yes -i /root/thief alice@out.mail.${domain} limits`;
      const { status, stdout } = await scene.stage.exec("user", ["sh", "-c", ssh]);
      if ((await hasPower(scene, "alice", scene.thief)) !== null) return "the stranger is in on other machines";
      return status === 0 ? `the stranger was told "${stdout.toString("latin1").split("\n")[0]}"` : null;
    },
  },
  {
    what: "keep that file through a start of the machine's programs",
    documented: "can't",
    async run(scene) {
      await asRoot(scene, "out", "sv -w 10 restart /etc/service/accept");
      const isIn = async (): Promise<boolean> =>
        (await asRoot(scene, "out", "cat /etc/ssh/authorized_keys/alice")).includes(scene.thief.publicKey.line);
      await until("the file is made anew", async () => !(await isIn()));
      return (await isIn()) ? "the stranger's key is there still" : null;
    },
  },
  {
    what: "read stored mail: log in on fetch with the keys that out has",
    documented: "can't",
    async run(scene) {
      const keys = (
        await asRoot(
          scene,
          "out",
          "find /etc /run /var/lib -xdev -type f 2>/dev/null | xargs grep -sl 'PRIVATE KEY' || true",
        )
      )
        .split("\n")
        .filter(Boolean);
      if (keys.length === 0) throw new Error("out has no private key at all");
      for (const key of keys) {
        for (const user of ["alice", "deposit", "usage", "mailboxes", "ledger", "root"]) {
          const login = `timeout 5 ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=3 -i ${key} ${user}@${scene.stage.address("fetch")} true`;
          const { stderr, status } = await scene.stage.exec("out", ["sh", "-c", login]);
          if (status === 0 || !/denied|timed out|closed|refused|reset/i.test(`${stderr}timed out`))
            return `${key} opens ${user}`;
        }
      }
      return null;
    },
  },
  {
    what: "reach ledger, keys, spam-in, or anything but mail on in",
    documented: "can't",
    async run(scene) {
      for (const role of ["ledger", "keys", "spam-in", "in"]) {
        if (await answersFrom(scene, "out", scene.stage.address(role), 22)) return `port 22 of ${role} answers`;
      }
      if (!(await answersFrom(scene, "out", scene.stage.address("in"), 25)))
        throw new Error("in takes no mail from out");
      return null;
    },
  },
  {
    what: "add a device to an account: by the ledger's own connection, by its store, or by asking the operator",
    documented: "can't",
    async run(scene) {
      const standing = await standingAt(scene, "fetch", "alice");
      const signed = withThief(scene, standing, [scene.thief]);
      const record = printFrame({ kind: "record", of: "state", accepted: standing.state.time, signed });
      const say = Buffer.concat([Buffer.from("shoal-feed/v1\n"), record]);
      await impersonate(scene, "out", { service: "accept", socket: acceptSocket, say, seconds: 4 });
      await meddle(
        scene,
        "out",
        `UPDATE records SET signed = :signed WHERE rowid = (SELECT max(rowid) FROM records)`,
        signed,
      );
      const answer = await submit(scene, signed);
      if (/ACCEPTED/.test(answer)) return "the ledger accepted it";
      const { hash } = await standingAt(scene, "fetch", "alice");
      if (hash !== standing.hash) return "fetch has another state";
      return await hasPower(scene, "alice", scene.thief);
    },
    async mend(scene) {
      // What was meddled with is damage that accept refuses to start from: it is fed anew.
      await asRoot(
        scene,
        "out",
        "sv -w 5 down /etc/service/accept; rm -f /var/lib/shoal/accounts/*; sv up /etc/service/accept",
      );
      await until(
        "out knows alice again",
        async () => (await client(scene, "alice", "shoal check bob@shoal.example")).status === 0,
      );
    },
  },
  {
    what: "stop the ledger from serving other machines",
    documented: "can't",
    async run(scene) {
      const flood = Buffer.concat([Buffer.from("shoal-feed/v1\n"), Buffer.alloc(4_000_000, "took - 99999\n")]);
      const impostor = impersonate(scene, "out", { service: "accept", socket: acceptSocket, say: flood, seconds: 8 });
      const change = nextHonest(scene.alice, await standingAt(scene, "keys", "alice"));
      const answer = await handIn(scene, "alice", change);
      await untilSame(scene, "alice");
      await impostor;
      if (answer?.code !== "ACCEPTED") return `an honest change was answered ${answer?.code}`;
      return null;
    },
    async mend(scene) {
      await until(
        "out works",
        async () => (await client(scene, "alice", "shoal check bob@shoal.example")).status === 0,
      );
    },
  },
  {
    what: "give an account mail that hides that it came from out",
    documented: "can't",
    async run(scene) {
      const mail = [
        "EHLO stranger.world.example",
        `MAIL FROM:<carol@post.example>`,
        `RCPT TO:<bob@${domain}>`,
        "DATA",
        "Received: from mx.post.example ([192.0.2.25]) by in.mail.shoal.example with SMTP; Sun, 22 Nov 2026 00:00:00 +0000",
        "Delivered-To: bob@shoal.example",
        "From: carol@post.example",
        "Subject: hidden",
        "",
        "from nowhere",
        ".",
        "QUIT",
      ];
      const address = scene.stage.address("in");
      await asRoot(scene, "out", `nc -C -i 1 -w 20 ${address} 25 >&2`, Buffer.from(`${mail.join("\n")}\n`));
      await untilAllArrived(scene.stage);
      const found = (await receivedBy(scene.stage, "bob")).find(({ bytes }) => bytes.includes("from nowhere"));
      if (found === undefined) return null;
      const [first = ""] = /^Received: (?:.*\n(?:[ \t].*\n)*)/m.exec(found.bytes.toString("latin1")) ?? [];
      return first.includes(scene.stage.address("out")) ? null : `the first Received field is ${first}`;
    },
  },
];
