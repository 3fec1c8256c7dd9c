/**
 * Accounts: verifying against `ssh-keygen`; how long all machines of a fleet take to verify 10,000 chains of 5 versions from
 * nothing, each by itself, and to make every file of them; and how long a change takes from its owner's upload to the last
 * machine.
 */

import { parsePrivateKey } from "#core/ssh/private-key.ts";
import { addAccounts } from "#fleet/accounts/add-accounts.ts";
import { waitUntilTaken } from "#fleet/accounts/change.ts";
import { unixTime } from "#host/clock.ts";
import { lineOf, makeKey, nextState, Owner, signState } from "#test/owner.ts";
import { openStage, type Stage } from "#test/world/stage.ts";
import { benchVerify } from "./verify.ts";

const domain = "shoal.example";
const accounts = 10_000;
const versions = 5;
const changes = 5;
/** Accounts whose later versions are handed in together. */
const atOnce = 1000;

function tell(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

async function untilTaken(stage: Stage): Promise<void> {
  const late = await waitUntilTaken((await stage.operator()).ledger, 900);
  if (late.length > 0) throw new Error(`not taken: ${late.join(", ")}`);
}

/** Gives the fleet its accounts: names in one record, then all versions of each. */
async function fill(stage: Stage): Promise<void> {
  const operator = await stage.operator();
  const { ledger } = operator;
  const owners = Array.from({ length: accounts }, () => new Owner(domain, unixTime()));
  tell(`${accounts} accounts`);
  await addAccounts(
    operator,
    owners.map((owner, index) => ({ name: `a${index}`, genesis: owner.genesis, quotaBytes: 100_000_000, fetch: 1 })),
  );
  for (let version = 2; version <= versions; version++) {
    tell(`version ${version} of each`);
    for (let at = 0; at < accounts; at += atOnce) {
      const states = owners.slice(at, at + atOnce).map((owner) => {
        const device = { auth: true, seal: true, key: lineOf(makeKey()) };
        return owner.advance({ devices: [device], time: unixTime() });
      });
      const replies = await ledger.submit(states.map((signed) => ({ of: "state", signed })));
      const refused = replies.find(({ code }) => code !== "ACCEPTED");
      if (refused !== undefined) throw new Error(`the ledger refused a state: ${refused.code} ${refused.text}`);
    }
  }
  await untilTaken(stage);
}

/** Everything that the machines know and made of it is thrown away; seconds until all have it again from the ledger. */
async function rebuild(stage: Stage): Promise<{ rebuildSeconds: number; files: number }> {
  const machines = ["keys", "fetch", "in"];
  const forget = [
    "sv -w 30 down /etc/service/accept",
    "rm -rf /var/lib/shoal/accounts/* /srv/keys/* /srv/mail/* /run/accept/recipients",
    "find /etc/ssh/authorized_keys -name 'a[0-9]*' -delete",
  ].join("; ");
  for (const machine of machines) {
    const { status, stderr } = await stage.exec(machine, ["sh", "-c", forget]);
    if (status !== 0) throw new Error(`${machine}: ${stderr}`);
  }
  const started = performance.now();
  await Promise.all(machines.map((machine) => stage.exec(machine, ["sv", "up", "/etc/service/accept"])));
  await untilTaken(stage);
  const rebuildSeconds = (performance.now() - started) / 1000;
  const count = "ls /etc/ssh/authorized_keys; find /srv -name chain; grep -h '^account ' /run/accept/recipients";
  let files = 0;
  for (const machine of machines) {
    const { stdout } = await stage.exec(machine, [
      "sh",
      "-c",
      `{ ${count}; } 2>/dev/null | grep -cE 'a[0-9]+' || true`,
    ]);
    files += Number(stdout.toString("utf8"));
  }
  if (files < 5 * accounts) throw new Error(`only ${files} files and entries were made`);
  return { rebuildSeconds, files };
}

/** Seconds from the start of an owner's upload with stock `sftp` to the last machine having the change, in its files. */
async function propagate(stage: Stage): Promise<number> {
  const owner = new Owner(domain, unixTime());
  await stage.add([{ name: "uploader", genesis: owner.genesis, quotaBytes: 100_000_000, fetch: 1 }]);
  const seconds: number[] = [];
  const pem = await stage.exec("user", [
    "sh",
    "-c",
    "rm -f /root/up; ssh-keygen -q -t ed25519 -N '' -f /root/up; cat /root/up.pub",
  ]);
  const uploader = pem.stdout.toString("utf8").split(" ").slice(0, 2).join(" ");
  const key = parsePrivateKey((await stage.exec("user", ["cat", "/root/up"])).stdout.toString("utf8"));
  const { ledger } = await stage.operator();
  const state = nextState(owner.standing, { master: [lineOf(owner.master), uploader].sort() });
  const withMaster = signState(state, [owner.master, key]);
  await ledger.submit([{ of: "state", signed: withMaster }]);
  owner.advance({ master: state.master }, [owner.master, key]);
  await untilTaken(stage);
  for (let change = 0; change < changes; change++) {
    const device = lineOf(makeKey());
    const signed = owner.advance({ devices: [{ auth: true, seal: true, key: device }], time: unixTime() });
    const put = `cat > /tmp/up && echo 'put /tmp/up /proposal' | sftp -q -b - -i /root/up uploader@keys.mail.${domain}`;
    const started = performance.now();
    const upload = stage.exec("user", ["sh", "-c", put], { input: signed });
    const places = [
      ["fetch", "/etc/ssh/authorized_keys/uploader"],
      ["keys", "/srv/keys/uploader/account/chain"],
      ["in", "/run/accept/recipients"],
    ] as const;
    await Promise.all(
      places.map(([machine, file]) => {
        const wait = `until grep -qF '${device}' ${file}; do sleep 0.02; done`;
        return stage.exec(machine, ["sh", "-c", wait], { timeoutSeconds: 60 });
      }),
    );
    seconds.push((performance.now() - started) / 1000);
    const { status, stderr } = await upload;
    if (status !== 0) throw new Error(`sftp failed: ${stderr}`);
  }
  return seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)] ?? Number.NaN;
}

export async function benchAccounts(): Promise<Record<string, unknown>> {
  const verify = benchVerify();
  const stage = await openStage({ name: "bench", net: 141, people: ["alice"], onProgress: tell });
  try {
    const propagateSeconds = await propagate(stage);
    await fill(stage);
    tell("from nothing");
    const { rebuildSeconds, files } = await rebuild(stage);
    return { ...verify, propagateSeconds, rebuildSeconds, rebuiltAccounts: accounts, rebuiltVersions: versions, files };
  } finally {
    await stage.close();
  }
}
