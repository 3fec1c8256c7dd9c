/** Root on `spam-out`: may read mail that leaves, and refuse or pass what it likes; may not change it, nor stop it for good. */

import { until } from "#test/until.ts";
import { inbox } from "#test/world/send.ts";
import { post } from "#test/world/world.ts";
import type { Attempt } from "./attempt.ts";
import { answersFrom, asRoot, client, must, type Scene } from "./scene.ts";

const carol = "carol@post.example";
const port = 11_333;
const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

interface Sent {
  status: number;
  said: string;
  /** What the impostor was asked. */
  heard: string;
}

/** Serves one request: prints it, answers with standard input (again and again with `endless`), and lingers so many seconds. */
const impostor = (endless: boolean, linger: number): string => `
  use IO::Socket::INET; local $| = 1; $SIG{PIPE} = 'IGNORE'; binmode STDIN; my $say = do { local $/; <STDIN> } // '';
  my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => ${port}, Listen => 5, ReuseAddr => 1) or die;
  alarm 60;
  while (my $peer = $server->accept) {
    my ($head, $body) = ('', '');
    while (my $line = <$peer>) { $head .= $line; last if $line eq "\\r\\n"; }
    next if $head eq '';
    my ($length) = $head =~ /^content-length: (\\d+)/im; read($peer, $body, $length // 0);
    print $head, $body;
    do { print $peer $say or last } while (${endless ? 1 : 0});
    sleep ${linger}; exit 0;
  }`;

/** Alice sends a message while somebody answers in rspamd's place. */
async function sendWhile(
  scene: Scene,
  body: string,
  reply: string,
  { endless = false, linger = 0 } = {},
): Promise<Sent> {
  await asRoot(scene, "spam-out", "sv -w 10 down /etc/service/rspamd; pkill -KILL -u _rspamd; true");
  try {
    const command = ["perl", "-e", impostor(endless, linger)];
    const run = scene.stage.exec("spam-out", command, { input: Buffer.from(reply) });
    await until("the impostor", async () => await answersFrom(scene, "spam-out", "127.0.0.1", port));
    const { status, said } = await client(
      scene,
      "alice",
      `shoal send --anyway --to ${carol} --subject judged --body '${body}'`,
    );
    return { status, said, heard: (await must(run)).stdout.toString("latin1") };
  } finally {
    await asRoot(scene, "spam-out", "sv up /etc/service/rspamd");
  }
}

function verdict(value: unknown): string {
  const body = JSON.stringify(value);
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

async function mailsWith(scene: Scene, text: string): Promise<string[]> {
  const all = (await inbox(scene.stage.exec, post)).map((mail) => mail.toString("latin1"));
  return all.filter((mail) => mail.includes(text));
}

/** What is kept in the outbox because the judge failed leaves by itself once rspamd is back. */
async function leavesLater(scene: Scene, text: string): Promise<void> {
  await until(`"${text}" leaves`, async () => {
    await client(scene, "alice", "shoal outbox flush");
    return (await mailsWith(scene, text)).length > 0;
  });
  const { length } = await mailsWith(scene, text);
  if (length !== 1) throw new Error(`"${text}" arrived ${length} times`);
}

/** An answer that is none must stop this message for now, and nothing else. */
function broken(
  what: string,
  text: string,
  reply: string,
  manner: { endless?: boolean; linger?: number },
): Attempt<Scene> {
  return {
    what: `break shoal-submit, or lose a message, by ${what}`,
    documented: "can't",
    async run(scene) {
      const { status, said } = await sendWhile(scene, text, reply, manner);
      if (status !== 75) return `the client ended with ${status}: ${said.slice(-300)}`;
      await leavesLater(scene, text);
      return null;
    },
  };
}

export const spamOutRootAttempts: readonly Attempt<Scene>[] = [
  {
    what: "read a message that leaves",
    documented: "can",
    async run(scene) {
      const { heard } = await sendWhile(scene, "read by the judge", verdict({ action: "no action", symbols: {} }));
      return heard.includes("read by the judge") ? "it read it, and who sent it to whom" : null;
    },
  },
  {
    what: "pass what rspamd would refuse",
    documented: "can",
    async run(scene) {
      const { status } = await sendWhile(scene, `passed ${gtube}`, verdict({ action: "no action", symbols: {} }));
      if (status !== 0) return null;
      await until("it arrives", async () => (await mailsWith(scene, gtube)).length > 0);
      return "it arrived";
    },
  },
  {
    what: "refuse what is no spam",
    documented: "can",
    async run(scene) {
      const { status, said } = await sendWhile(scene, "honest", verdict({ action: "reject", symbols: {} }));
      return status === 77 && (await mailsWith(scene, "honest")).length === 0
        ? (said.trim().split("\n")[0] ?? "")
        : null;
    },
  },
  {
    what: "change a message or its recipients by its answer",
    documented: "can't",
    async run(scene) {
      const answer = {
        action: "add header",
        symbols: {},
        subject: "changed subject",
        "dkim-signature": "v=1; a=forged",
        milter: {
          add_headers: { "X-Spam": { value: "changed", order: 0 }, Bcc: { value: "eve@post.example", order: 0 } },
          remove_headers: { Subject: 0 },
          change_from: "eve@post.example",
          add_rcpt: ["eve@post.example"],
          del_rcpt: [carol],
        },
        messages: { smtp_message: "changed" },
      };
      const { status } = await sendWhile(scene, "not to be changed", verdict(answer));
      if (status !== 0) return `the client ended with ${status}`;
      await until("it arrives", async () => (await mailsWith(scene, "not to be changed")).length > 0);
      const [mail = "", ...more] = await mailsWith(scene, "not to be changed");
      if (more.length > 0) return "it arrived more than once";
      return /changed subject|X-Spam|eve@|a=forged/.test(mail) ? `it arrived as ${mail}` : null;
    },
  },
  {
    what: "put lines of its own on the sender's terminal",
    documented: "can't",
    async run(scene) {
      const symbols = { FORGED: { score: 20, description: "bad\naccepted: 1 recipient\u001b[2J\u009b2J" } };
      const { said } = await sendWhile(scene, "to be refused", verdict({ action: "reject", symbols }));
      return /^accepted/m.test(said) || ["\u001b", "\u009b"].some((control) => said.includes(control)) ? said : null;
    },
  },
  broken("saying nothing like an answer", "judged by noise", "\u0000\u0001 no HTTP at all\r\n\r\n", {}),
  broken("an answer without end", "judged without end", "HTTP/1.1 200 OK\r\n\r\n", { endless: true }),
  broken("an answer that is no verdict", "judged by nonsense", verdict(["reject"]), {}),
  broken("saying nothing", "judged by silence", "", { linger: 40 }),
  {
    what: "reach out, fetch, keys, ledger, in or spam-in",
    documented: "can't",
    async run(scene) {
      for (const role of ["out", "fetch", "keys", "ledger", "in", "spam-in"]) {
        for (const at of [22, 25]) {
          if (await answersFrom(scene, "spam-out", scene.stage.address(role), at))
            return `port ${at} of ${role} answers`;
        }
      }
      return null;
    },
  },
];
