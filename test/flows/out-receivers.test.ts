/** Mail out to real servers, good and bad: what is said of them, what is sent, and how it arrived. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { siteMachines } from "#fleet/plan.ts";
import { until } from "#test/until.ts";
import {
  type Kind,
  kinds,
  makeReceivers,
  pickyFile,
  pickyPairs,
  type ReceiverCase,
  type Receivers,
  receiverMachine,
} from "#test/world/receivers.ts";
import { inbox } from "#test/world/send.ts";
import { asPerson } from "#test/world/stage.ts";
import { flowStage } from "./flow-stage.ts";

let receivers: Receivers;
const stage = flowStage({
  name: "receivers",
  people: ["alice"],
  changes: [["  ledger: 1\n", "  ledger: 1\n  out: 1\n"]],
  async moreWorld(network) {
    receivers = await makeReceivers(network);
    return receivers.world;
  },
});

/** `out` is to trust the authority of the receivers, and the key of their signed zone. */
async function trustReceivers(): Promise<void> {
  await asRoot("out", "cat >> /etc/ssl/certs/ca-certificates.crt", receivers.authority);
  await asRoot("out", "cat > /etc/unbound/anchor", receivers.anchor);
  await asRoot(
    "out",
    `sed -i 's|^server:|&\\n  trust-anchor-file: /etc/unbound/anchor|' /etc/unbound/shoal.conf; sv restart resolver smtpd submit`,
  );
  await until("out is back", async () => (await alice(`${ssh} limits`)).status === 0);
}

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

async function asRoot(machine: string, script: string, input = ""): Promise<string> {
  const { status, stdout, stderr } = await stage().exec(machine, ["sh", "-ec", script], { input });
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1");
}

const ssh =
  "ssh -F none -i .config/shoal/default/id_ed25519 -o BatchMode=yes -o ControlPath=control -o ControlMaster=auto " +
  "-o ControlPersist=300 alice@out.mail.shoal.example";

async function alice(script: string, input = ""): Promise<Ran> {
  const { status, stdout, stderr } = await stage().exec("user", asPerson("alice", script), {
    input,
  });
  return { status, out: stdout.toString("latin1"), err: stderr };
}

function isGood({ line }: ReceiverCase): boolean {
  return line.startsWith("tls ");
}

/** One message to each domain, four at a time. @returns domain -> exit status, and what was said */
async function sendEach(
  verb: string,
  cases: readonly ReceiverCase[],
): Promise<Map<string, { status: string; said: string }>> {
  const one =
    `said=$(printf 'From: alice@shoal.example\\nTo: carol@%s\\nSubject: ${verb} %s\\n\\nto %s\\n' "$1" "$1" "$1" | ` +
    `${ssh} ${verb} 2>&1); echo "$1 $?" $said`;
  const { out } = await alice(`xargs -n 1 -P 4 sh -c '${one.replaceAll("'", "'\\''")}' sh`, domains(cases));
  return new Map(
    out
      .trim()
      .split("\n")
      .map((line) => {
        const [domain = "", status = "", ...said] = line.split(" ");
        return [domain, { status, said: said.join(" ") }];
      }),
  );
}

function domains(cases: readonly ReceiverCase[]): string {
  return cases.map(({ domain }) => `${domain}\n`).join("");
}

async function queued(): Promise<string[]> {
  return (await asRoot("out", "smtpctl show queue")).split("\n").filter((line) => line !== "");
}

/** Subject -> the mails that have it, as they lie with the receivers. */
async function received(): Promise<Map<string, { kind: Kind; mail: string }[]>> {
  const found = new Map<string, { kind: Kind; mail: string }[]>();
  for (const kind of kinds) {
    for (const bytes of await inbox(stage().exec, { machine: receiverMachine(kind) })) {
      const mail = bytes.toString("latin1");
      const subject = /^Subject: (.*)$/m.exec(mail)?.[1] ?? "";
      found.set(subject, [...(found.get(subject) ?? []), { kind, mail }]);
    }
  }
  return found;
}

/** The receiver's own Received field, which stands on top. */
function receivedField(mail: string): string {
  return /^Received: .*(?:\n[ \t].*)*/m.exec(mail)?.[0] ?? "";
}

const overTls: Readonly<Record<Kind, RegExp>> = {
  postfix: /\(using TLSv1\.3 with cipher/,
  exim: /with esmtps +\(TLS1\.3\)/,
  smtpd: /with ESMTPS[^]*TLSv1\.3/,
};

function addresses(): { first: string; second: string } {
  const own = siteMachines(stage().fleet, stage().fleet.live).find(({ role }) => role === "out");
  return { first: own?.address ?? "", second: own?.secondAddress ?? "" };
}

test("every server has the grade that it deserves", async () => {
  await trustReceivers();
  const { status, out, err } = await alice(
    `${ssh} check ${receivers.cases.map(({ domain }) => `carol@${domain}`).join(" ")}`,
  );
  assert.equal(status, 75, err);
  assert.deepEqual(out.trim().split("\n").sort(), receivers.cases.map(({ line }) => line).sort());
});

test("send takes what is good, and stores nothing of the rest", async () => {
  const good = receivers.cases.filter(isGood);
  const bad = receivers.cases.filter((one) => !isGood(one));
  assert.ok(good.length > 10 && bad.length > 10);
  const refused = await sendEach("send", bad);
  assert.deepEqual(await queued(), []);
  for (const { domain, line } of bad) {
    assert.equal(refused.get(domain)?.status, "75", domain);
    assert.ok(refused.get(domain)?.said.startsWith(`${line} refused: `), `${domain}: ${refused.get(domain)?.said}`);
  }
  const taken = await sendEach("send", good);
  for (const { domain } of good) assert.equal(taken.get(domain)?.status, "0", `${domain}: ${taken.get(domain)?.said}`);
});

test("send-anyway takes the rest", async () => {
  const bad = receivers.cases.filter((one) => !isGood(one));
  const taken = await sendEach("send-anyway", bad);
  for (const { domain } of bad) assert.equal(taken.get(domain)?.status, "0", `${domain}: ${taken.get(domain)?.said}`);
});

test("one message to a good and a bad server leaves by two ways, once each", async () => {
  const to = "To: carol@good-exim.plain.example, carol@clear-smtpd.plain.example";
  const { status, err } = await alice(
    `${ssh} send-anyway`,
    `From: alice@shoal.example\n${to}\nSubject: two ways\n\ntwo\n`,
  );
  assert.equal(status, 0, err);
});

test("what was taken arrived once, over TLS from the first address, or as it could from the second", async () => {
  await until("an empty queue", async () => (await queued()).length === 0);
  const found = await received();
  const { first, second } = addresses();
  const { cases } = receivers;
  for (const one of cases) {
    const { domain, kind, offersTls } = one;
    const verb = isGood(one) ? "send" : "send-anyway";
    const mails = found.get(`${verb} ${domain}`) ?? [];
    assert.equal(mails.length, 1, `${domain}: ${mails.length} times`);
    const field = receivedField(mails[0]?.mail ?? "");
    assert.equal(mails[0]?.kind, kind, domain);
    // The one that strips STARTTLS connects by itself.
    if (!domain.startsWith("stripped"))
      assert.ok(field.includes(`[${isGood(one) ? first : second}]`), `${domain}: ${field}`);
    assert.equal(overTls[kind].test(field), offersTls, `${domain}: ${field}`);
  }
  const ways = found.get("two ways") ?? [];
  assert.equal(ways.length, 2);
  assert.deepEqual(Object.fromEntries(ways.map(({ kind, mail }) => [kind, overTls[kind].test(receivedField(mail))])), {
    exim: true,
    smtpd: false,
  });
  assert.equal([...found.values()].flat().length, cases.length + 2);
});

test("a server that turns away weak mail gets strong mail at once, and the other way round", async () => {
  const { first, second } = addresses();
  const send = async (verb: string, domain: string, subject: string): Promise<void> => {
    const message = `From: alice@shoal.example\nTo: carol@${domain}\nSubject: ${subject}\n\n${subject}\n`;
    const { status, err } = await alice(`${ssh} ${verb}`, message);
    assert.equal(status, 0, err);
  };
  const turnAway = async (address: string, mx: string, isUnwanted: boolean): Promise<void> => {
    const line = isUnwanted ? `${address} 421 4.7.0 not you\n` : "";
    await asRoot(receiverMachine("postfix"), `cat > ${pickyFile}; postfix reload`, line);
    await until("the new rule", async () => {
      const greeting = await asRoot("out", `nc -w 3 -s ${address} ${mx} 25 </dev/null || true`);
      return greeting.startsWith(isUnwanted ? "421" : "220");
    });
  };
  const tries = async (): Promise<number> =>
    Number(await asRoot("out", "grep -c 'not you' /run/log/smtpd/current || true"));
  const [one, two] = pickyPairs;
  assert.ok(one !== undefined && two !== undefined);
  // Grades are remembered for a minute: the server that turns us away is not asked again.
  const check = `${ssh} check ${[one.weak, one.strong, two.weak, two.strong].map((domain) => `carol@${domain}`).join(" ")}`;
  assert.match((await alice(check)).out, /^(?:tls-problem \S+ validation-failure .*\ntls valid .*\n){2}$/);
  for (const [verb, domain, address, other, otherDomain, mx] of [
    ["send-anyway", one.weak, second, "send", one.strong, one.mx],
    ["send", two.strong, first, "send-anyway", two.weak, two.mx],
  ] as const) {
    await turnAway(address, mx, true);
    const already = await tries();
    await send(verb, domain, `${verb} waits`);
    await until("it was turned away", async () => (await tries()) > already);
    await send(other, otherDomain, `${other} does not wait`);
    await until("the other mail", async () => (await received()).get(`${other} does not wait`)?.length === 1);
    assert.equal((await received()).get(`${verb} waits`), undefined);
  }
  await turnAway(first, two.mx, false);
  // smtpd gives a way that failed a pause of 15 seconds.
  await until("what had waited", async () => {
    await asRoot("out", "smtpctl schedule all");
    return (await queued()).length === 0;
  });
  for (const verb of ["send", "send-anyway"]) assert.equal((await received()).get(`${verb} waits`)?.length, 1);
});
