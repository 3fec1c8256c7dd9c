/**
 * Handing in mail: `ssh … send` to a machine `out` against msmtp to the same OpenSMTPD, with a password over TLS, in turns, in one
 * run on one machine. Clients, servers and the receiver of the mail share its processors.
 *
 * The peer does less for a mail: no preparing, no grade, no signatures, no counts, no encrypted queue. msmtp has no way to keep a
 * connection, so it makes one for each mail in both comparisons; `newRatio` compares like with like, and `keptRatio` what a person
 * with `ControlMaster` in `~/.ssh/config` has against a person with msmtp. Rates are of accepted mails, from the first client's start
 * to the last one's end; what smtpd then does with them goes on at the same time, on both sides.
 */

import { cellStatus } from "#fleet/cell/cell.ts";
import { cellProcesses } from "#fleet/cell/processes.ts";
import { until } from "#test/until.ts";
import { tlsCertificate } from "#test/world/machine-parts.ts";
import { asPerson, openStage, type Stage } from "#test/world/stage.ts";
import { worldAddresses } from "#test/world/world.ts";
import { absolute, type ResourceRecord } from "#test/world/zones.ts";
import { submissionHost, submissionMachine, submissionPassword } from "./submission-machine.ts";

const mailBytes = 10_000;
const mails = 40;
const clients = 4;
const rounds = 5;
const gradedDomains = 12;
const openSubmissions = 16;

const ssh = "ssh -F none -i .config/shoal/default/id_ed25519 -o BatchMode=yes";
const host = "alice@out.mail.shoal.example";
const kept = `${ssh} -o ControlPath=control`;

export async function benchOutbound(): Promise<Record<string, number>> {
  const stage = await openStage({
    name: "bench",
    net: 141,
    people: ["alice"],
    changes: [
      ["  ledger: 1\n", "  ledger: 1\n  out: 1\n"],
      ["  recipients: 100\n", "  recipients: 100\n  messages-per-day: 100000\n"],
    ],
    userPackages: ["msmtp"],
    moreWorld: (network) => ({
      machines: [submissionMachine({ address: `${network}.98`, nameServer: `${network}.53` })],
      records: [{ name: submissionHost, type: "A", data: `${network}.98` }, ...graded(network)],
    }),
    onProgress: (text) => process.stderr.write(`bench: ${text}\n`),
  });
  try {
    await setUp(stage);
    const arms = {
      // As `shoal send` does.
      new: `${ssh} ${host} send --bytes $(wc -c < mail)`,
      kept: `${kept} ${host} send --bytes $(wc -c < mail)`,
      msmtp: "msmtp -C msmtprc carol@post.example",
    };
    const rates: Record<keyof typeof arms, number[]> = { new: [], kept: [], msmtp: [] };
    const names = Object.keys(arms) as (keyof typeof arms)[];
    for (const name of names) await perSecond(stage, arms[name]);
    for (let round = 0; round < rounds; round++) {
      for (const name of names) rates[name].push(await perSecond(stage, arms[name]));
    }
    const ratio = (name: "new" | "kept"): number =>
      median(rates[name].map((rate, round) => rate / (rates.msmtp[round] ?? Number.NaN)));
    return {
      newRatio: ratio("new"),
      keptRatio: ratio("kept"),
      newPerSecond: median(rates.new),
      keptPerSecond: median(rates.kept),
      msmtpPerSecond: median(rates.msmtp),
      ...(await gradeTimes(stage)),
      memoryPerSubmissionBytes: await memoryPerSubmission(stage),
      mailBytes,
      mails,
      clients,
      rounds,
    };
  } finally {
    await stage.close();
  }
}

/** Domains with a mail server each, under a name of its own: nothing of one grade serves another. */
function graded(network: string): ResourceRecord[] {
  return Array.from({ length: gradedDomains }, (_, index) => `graded${index}.world.example`).flatMap((domain) => [
    { name: domain, type: "MX", data: `10 ${absolute(`mx.${domain}`)}` },
    { name: `mx.${domain}`, type: "A", data: worldAddresses(network).post },
  ]);
}

async function asRoot(stage: Stage, machine: string, script: string, input: Uint8Array | string = ""): Promise<Buffer> {
  const { status, stdout, stderr } = await stage.exec(machine, ["sh", "-ec", script], { input });
  if (status !== 0) throw new Error(`on ${machine}: ${stderr}`);
  return stdout;
}

/** `out` trusts Postfix, the person's msmtp trusts its server, and the way to Postfix has its grade. */
async function setUp(stage: Stage): Promise<void> {
  await asRoot(
    stage,
    "out",
    "cat >> /etc/ssl/certs/ca-certificates.crt; sv restart smtpd submit",
    await asRoot(stage, "post", `cat ${tlsCertificate}`),
  );
  const settings = [
    `account default\nhost ${submissionHost}\nport 465\ntls on\ntls_starttls off\ntls_trust_file trust.pem`,
    `auth plain\nuser alice\npassword ${submissionPassword}\nfrom alice@shoal.example\n`,
  ];
  await stage.as("alice", "cat > msmtprc; chmod 600 msmtprc", { input: settings.join("\n") });
  await stage.as("alice", "cat > trust.pem", { input: await asRoot(stage, "submission", `cat ${tlsCertificate}`) });
  const head = "From: alice@shoal.example\nTo: carol@post.example\nSubject: bench\n\n";
  const line = `${"x".repeat(71)}\n`;
  await stage.as("alice", "cat > mail", { input: head + line.repeat((mailBytes - head.length) / line.length) });
  await until("the way is fine", async () => {
    const { status } = await stage.exec("user", asPerson("alice", `${ssh} ${host} check carol@post.example`));
    return status === 0;
  });
  await stage.as(
    "alice",
    `${kept} -o ControlMaster=yes -o ControlPersist=900 ${host} limits </dev/null >/dev/null 2>&1`,
  );
}

async function perSecond(stage: Stage, command: string): Promise<number> {
  const one = `${command} < mail >/dev/null || echo failed`;
  const started = performance.now();
  const said = await stage.as("alice", `seq ${mails} | xargs -P ${clients} -I {} sh -c '${one}'`, {
    timeoutSeconds: 300,
  });
  const rate = (1000 * mails) / (performance.now() - started);
  if (said !== "") throw new Error(`${said.split("\n").length - 1} of ${mails} mails were not accepted: ${command}`);
  return rate;
}

/** What a check of one domain takes more than `limits`, which asks nobody, on a kept connection. */
async function gradeTimes(stage: Stage): Promise<{ gradeColdMs: number; gradeWarmMs: number }> {
  const milliseconds = async (command: string): Promise<number> => {
    // The status says how the domain is, and is no matter here.
    const script = `start=$(date +%s%N); ${kept} ${host} ${command} >/dev/null; end=$(date +%s%N); echo $(((end - start) / 1000))`;
    return Number(await stage.as("alice", script)) / 1000;
  };
  const cold: number[] = [];
  const warm: number[] = [];
  for (let index = 0; index < gradedDomains; index++) {
    const check = `check a@graded${index}.world.example`;
    const nothing = await milliseconds("limits");
    cold.push((await milliseconds(check)) - nothing);
    warm.push((await milliseconds(check)) - nothing);
  }
  return { gradeColdMs: median(cold), gradeWarmMs: median(warm) };
}

/** Memory of the whole machine with submissions that have handed in a mail and not ended it, over what it has without. */
async function memoryPerSubmission(stage: Stage): Promise<number> {
  const idle = await memoryOfOut(stage);
  const open = `{ cat mail; sleep 8; } | ${ssh} ${host} send >/dev/null & `.repeat(openSubmissions);
  const ended = stage.as("alice", `${open} wait`, { timeoutSeconds: 120 });
  let most = idle;
  const watch = setInterval(() => {
    memoryOfOut(stage).then(
      (bytes) => (most = Math.max(most, bytes)),
      () => undefined,
    );
  }, 1000);
  try {
    await ended;
  } finally {
    clearInterval(watch);
  }
  return Math.round((most - idle) / openSubmissions);
}

async function memoryOfOut(stage: Stage): Promise<number> {
  const status = await cellStatus(stage.fleet.name, "alpha-out");
  if (status === undefined) throw new Error("out does not run");
  return (await cellProcesses(status.pid)).reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
