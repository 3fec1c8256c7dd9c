/** `shoalctl dns` as an operator uses it: what it prints is loaded into a name server, broken record by record, and checked. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { dkimRecords } from "#fleet/dkim.ts";
import type { Finding } from "#fleet/dns/findings.ts";
import { checkMachines } from "#fleet/dns/machines.ts";
import { siteMachines } from "#fleet/plan.ts";
import { ports, trial } from "#fleet/roles/out.ts";
import { type ExecResult, tryExec } from "#host/exec.ts";
import { dkimVerdicts } from "#test/corpus/dkim-verify.ts";
import { until } from "#test/until.ts";
import { zonePath } from "#test/world/dns.ts";
import { absolute } from "#test/world/zones.ts";
import { root } from "#tools/build.ts";
import { flowStage } from "./flow-stage.ts";

const domain = "shoal.example";
const stage = flowStage({
  people: ["postmaster", "alice"],
  changes: [["  ledger: 1\n", "  ledger: 1\n  out: 1\n"]],
});

function shoalctl(...words: string[]): Promise<ExecResult> {
  const [verb = "", ...rest] = words;
  const args = [`${root}/src/fleet/main.ts`, verb, "--fleet", stage().fleetFile, ...rest];
  return tryExec(process.execPath, args, { timeoutSeconds: 300 });
}

async function asRoot(machine: string, script: string, input = ""): Promise<string> {
  const { status, stdout, stderr } = await stage().exec(machine, ["sh", "-ec", script], { input });
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1");
}

/** Second number of the fleet's addresses. */
function second(): string {
  return stage().fleet.network.base.split(".")[1] ?? "";
}

/** The address of the operator's web server. */
function webServer(): string {
  return stage().fleet.resolver.replace(/\.53$/, ".77");
}

/** What was printed, with the operator's own record in place of its comment, kept for a second so that changes show. */
async function printedZone(): Promise<string> {
  const { status, stdout, stderr } = await shoalctl("dns");
  assert.equal(status, 0, stderr);
  return stdout.toString("latin1").replace("$TTL 3600", "$TTL 1").concat(`mta-sts.${domain}. IN A ${webServer()}\n`);
}

/** Replaces the zone, and gives the commented reverse names to the zone of those who gave out the addresses. */
async function publish(zone: string): Promise<void> {
  const head = `${absolute(domain)} 1 SOA ns.world.example. hostmaster.world.example. 1 60 60 3600 1
${absolute(domain)} 1 NS ns.world.example.\n`;
  await asRoot("dns", `cat > ${zonePath(domain)}`, `${head}${zone}`);
  const reverse = [...zone.matchAll(/^; (\S+\.in-addr\.arpa\. IN PTR .*)$/gm)].map((match) => `${match[1]}\n`);
  const file = zonePath("in-addr.arpa");
  // The fleet's own were there already, of a world that wants no fuss.
  const others = `test -e ${file}.was || cp ${file} ${file}.was; grep -v '^[0-9.]*\\.0\\.${second()}\\.10\\.in-addr' ${file}.was`;
  await asRoot("dns", `{ ${others}; cat; } > ${file}.new; mv ${file}.new ${file}`, reverse.join(""));
  await asRoot("dns", "sv restart nsd");
  await until("the new zone", async () => {
    const { status } = await stage().exec("dns", ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/53"]);
    return status === 0;
  });
  // What was kept may be kept for a second.
  await sleep(1500);
}

/** What `openssl s_server -HTTP` sends as it is. */
async function servePolicy(policy: string): Promise<void> {
  const folder = "/tmp/policy/.well-known";
  const answer = `HTTP/1.0 200 ok\r\nContent-Type: text/plain\r\n\r\n${policy}`;
  await asRoot("user", `mkdir -p ${folder}; cat > ${folder}/mta-sts.txt`, answer);
}

async function startWebServer(): Promise<void> {
  const name = `mta-sts.${domain}`;
  await asRoot(
    "user",
    `cd /tmp/policy; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -quiet \
       -subj /CN=${name} -addext subjectAltName=DNS:${name} -keyout key.pem -out certificate.pem
     setsid openssl s_server -quiet -accept 443 -cert certificate.pem -key key.pem -HTTP >/dev/null 2>&1 </dev/null &`,
  );
  const certificate = await asRoot("user", "cat /tmp/policy/certificate.pem");
  await asRoot("out", "cat >> /etc/ssl/certs/ca-certificates.crt", certificate);
}

interface Checked {
  status: number | null;
  well: boolean;
  findings: Finding[];
}

async function check(): Promise<Checked> {
  const { status, stdout, stderr } = await shoalctl("dns", "--check", "--json");
  assert.ok(status === 0 || status === 1, `exit status ${status}: ${stderr}`);
  return { status, ...(JSON.parse(stdout.toString("utf8")) as Omit<Checked, "status">) };
}

/** What is not as it should be: state, type and name. */
function trouble({ findings }: Checked): string[] {
  return findings
    .filter(({ state }) => state !== "right" && state !== "note")
    .map(({ state, type, name }) => `${state} ${type} ${name}`)
    .sort();
}

function findingOf({ findings }: Checked, state: string, type: string, name: string): Finding {
  const found = findings.find((one) => one.state === state && one.type === type && one.name.startsWith(name));
  assert.ok(found !== undefined, `${state} ${type} ${name} in ${JSON.stringify(findings)}`);
  return found;
}

/** Changes lines of the zone; every change must meet one. */
function changed(zone: string, ...changes: readonly (readonly [RegExp, string])[]): string {
  return changes.reduce((text, [from, to]) => {
    assert.match(text, from);
    return text.replace(from, to);
  }, zone);
}

let zone = "";
let policy = "";

test("what is printed, published: all is well, and mail is signed and taken for what it is", async () => {
  zone = await printedZone();
  const { stdout } = await shoalctl("dns", "--json");
  ({ text: policy } = (JSON.parse(stdout.toString("utf8")) as { policy: { text: string } }).policy);
  await servePolicy(policy);
  await startWebServer();
  await publish(zone);
  const checked = await check();
  assert.deepEqual(trouble(checked), []);
  assert.equal(checked.well, true);
  assert.equal(checked.status, 0);
  const ways = checked.findings.filter(({ type }) => type === "MAIL");
  assert.equal(ways.length, 3);
  for (const { found } of ways) assert.deepEqual(found, ["DKIM g1r pass, DKIM g1e pass, SPF pass, DMARC pass"]);
  const sessions = checked.findings.filter(({ type }) => type === "SMTP");
  assert.equal(sessions.length, 2, "from both addresses");
});

test("people read the same, a line for what is right, and what to do for what is not", async () => {
  await publish(changed(zone, [/^_smtp\._tls.*$/m, ""]));
  const { status, stdout, stderr } = await shoalctl("dns", "--check");
  assert.equal(status, 1);
  const text = stdout.toString("utf8");
  assert.match(text, /^right {7}MX {5}shoal\.example$/m);
  assert.match(text, /^missing {5}TXT {4}_smtp\._tls\.shoal\.example\n {12}expected {2}v=TLSRPTv1; /m);
  assert.match(text, /^ {12}found {5}nothing\n {12}do {8}publish it as `shoalctl dns` prints it$/m);
  assert.match(stderr, /^shoalctl: \d+ right, 1 missing$/m);
});

test("a trial's message is signed for another implementation, too, and nobody has got any of it", async () => {
  const out = siteMachines(stage().fleet, stage().fleet.live).find(({ role }) => role === "out");
  const machines = checkMachines(stage().fleet.name, "alpha-spam-in");
  const task = { kind: "message" as const, domain, heloName: `out.mail.${domain}`, port: ports.anyway, sink: trial };
  const [result] = await machines.run(out?.name ?? "", [task]);
  assert.ok(result?.kind === "message", JSON.stringify(result));
  const records = await dkimRecords(stage().fleet);
  const published = records.map(({ selector, txt }) => ({ name: `${selector}._domainkey.${domain}`, data: txt }));
  const [verdicts = []] = await dkimVerdicts([Buffer.from(result.message, "base64")], published);
  assert.deepEqual(
    verdicts.map(({ key, valid }) => [key, valid]),
    [`g1r._domainkey.${domain}`, `g1e._domainkey.${domain}`].map((key) => [key, true]),
  );
  assert.equal(await asRoot("out", "smtpctl show queue"), "");
  assert.equal(await asRoot("in", "smtpctl show queue"), "");
  assert.equal(await asRoot("fetch", "find /srv/mail -name '*.age' | wc -l"), "0\n");
  assert.equal((await asRoot("spam-in", "pgrep -f '[j]udge.conf' || true")).trim(), "", "the judge is gone");
});

test("with nothing published every record is named, and mail is not believed", async () => {
  await publish("$TTL 1\n");
  await asRoot("user", "rm /tmp/policy/.well-known/mta-sts.txt");
  const checked = await check();
  assert.equal(checked.status, 1);
  const records = [
    ...[`MX ${domain}`, `TXT ${domain}`, `TXT _dmarc.${domain}`, `TXT _mta-sts.${domain}`, `TXT _smtp._tls.${domain}`],
    ...["in", "fetch", "keys", "out", "out-anyway"].map((host) => `A ${host}.mail.${domain}`),
    ...["g1r", "g1e", "g2r", "g2e"].map((selector) => `TXT ${selector}._domainkey.${domain}`),
    ...[`TXT out.mail.${domain}`, `TLSA _25._tcp.in.mail.${domain}`],
    ...[`PTR 97.0.${second()}.10.in-addr.arpa`, `PTR 241.0.${second()}.10.in-addr.arpa`],
    `POLICY https://mta-sts.${domain}/.well-known/mta-sts.txt`,
  ].map((name) => `missing ${name}`);
  const mail = ["strict", "dane", "anyway"].map((way) => {
    return `wrong MAIL out.mail.${domain} (${way}) from 10.${second()}.0.${way === "anyway" ? 241 : 97}`;
  });
  assert.deepEqual(trouble(checked), [...records, ...mail].sort());
  await servePolicy(policy);
});

test("each record that is wrong is named, with what was found, and what it does to mail", async () => {
  const stranger = stage().fleet.resolver.replace(/\.53$/, ".26");
  const key = /^g2r\._domainkey.*TXT (.*)$/m.exec(zone)?.[1] ?? "";
  await publish(
    changed(
      zone,
      [/^shoal\.example\. IN MX .*$/m, "$&\nshoal.example. IN MX 20 mx.exim.example."],
      [/^in\.mail\.\S+ IN A .*$/m, `in.mail.${domain}. IN A ${stranger}`],
      [/^(shoal\.example\. IN TXT "v=spf1 .*) ip4:10\.\d+\.0\.241 -all"$/m, '$1 -all"'],
      [/^(g1r\._domainkey\S+ IN TXT).*$/m, `$1 ${key.replaceAll("$", "$$$$")}`],
      [/p=reject/, "p=none"],
      [/^(_25\._tcp.* TLSA 3 1 1) .*$/m, `$1 ${"ab".repeat(32)}`],
      [/v=STSv1; id=[0-9a-f]+/, "v=STSv1; id=20261122"],
      [/rua=mailto:postmaster@shoal\.example"$/m, 'rua=mailto:elsewhere@post.example"'],
      [/^; 97\.0\.\d+\.10\.in-addr\.arpa\. IN PTR .*$/m, `; 97.0.${second()}.10.in-addr.arpa. IN PTR mx.exim.example.`],
    ),
  );
  await servePolicy(policy.replace("mode: testing", "mode: enforce"));
  const checked = await check();
  await servePolicy(policy);
  assert.equal(checked.status, 1);
  const sources = [97, 241].map(
    (number) => `wrong SMTP in.mail.${domain} (${stranger}) from 10.${second()}.0.${number}`,
  );
  assert.deepEqual(
    trouble(checked),
    [
      ...[
        `wrong MX ${domain}`,
        `wrong A in.mail.${domain}`,
        `wrong TXT ${domain}`,
        `wrong TXT g1r._domainkey.${domain}`,
      ],
      ...[`wrong TXT _dmarc.${domain}`, `wrong TLSA _25._tcp.in.mail.${domain}`, `wrong TXT _mta-sts.${domain}`],
      ...[
        `wrong POLICY https://mta-sts.${domain}/.well-known/mta-sts.txt`,
        `wrong PTR 97.0.${second()}.10.in-addr.arpa`,
      ],
      ...["strict", "dane"].map((way) => `wrong MAIL out.mail.${domain} (${way}) from 10.${second()}.0.97`),
      ...[`wrong MAIL out.mail.${domain} (anyway) from 10.${second()}.0.241`, ...sources],
    ].sort(),
  );
  const of = (type: string, name: string): Finding => findingOf(checked, "wrong", type, name);
  assert.deepEqual(of("MX", domain).found, ["20 mx.exim.example"]);
  assert.match(of("TXT", domain).advice ?? "", /add ip4:10\.\d+\.0\.241/);
  assert.match(of("TXT", "g1r.").advice ?? "", /another key/);
  assert.deepEqual(of("TLSA", "_25.").found, [`3 1 1 ${"ab".repeat(32)}`]);
  assert.deepEqual(of("TXT", "_mta-sts.").found, ["v=STSv1; id=20261122"]);
  assert.match(of("POLICY", "https:").advice ?? "", /at once/);
  assert.match(of("SMTP", "in.mail.").advice ?? "", /somebody else answers/);
  const strict = of("MAIL", `out.mail.${domain} (strict)`);
  assert.deepEqual(strict.found, ["DKIM g1r fail, DKIM g1e pass, SPF pass, DMARC pass"]);
  const anyway = of("MAIL", `out.mail.${domain} (anyway)`);
  assert.deepEqual(anyway.found, ["DKIM g1r fail, DKIM g1e pass, SPF fail, DMARC pass"]);
});

test("what others publish for good reasons is no mistake; what is beside it is named", async () => {
  await publish(
    changed(
      zone,
      [/^shoal\.example\. IN MX 10/m, "shoal.example. IN MX 5"],
      [/^(shoal\.example\. IN TXT "v=spf1) .*$/m, `$1 ip4:10.${second()}.0.0/24 include:exim.example ~all"`],
      [/^shoal\.example\. IN TXT .*$/m, '$&\nshoal.example. IN TXT "something else: v=spf1 -all"'],
      [/p=reject; adkim=s; aspf=s; rua=\S+"$/m, 'p=quarantine"'],
      [/^(_25\._tcp.* TLSA) .*$/m, `$&\n$1 3 1 1 ${"ab".repeat(32)}`],
      [/^(g1e\._domainkey\S+ IN TXT "v=DKIM1;) k=ed25519; (p=.*)$/m, "$1 t=s; k=ed25519; s=email; $2"],
    ),
  );
  const checked = await check();
  assert.deepEqual(trouble(checked), [`superfluous TLSA _25._tcp.in.mail.${domain}`, `superfluous TXT ${domain}`]);
  assert.equal(checked.status, 0);
  const { found } = findingOf(checked, "superfluous", "TXT", domain);
  assert.deepEqual(found, [`ip4:10.${second()}.0.0/24`, "include:exim.example"]);
});

test("mail that can't be signed, or does not come out of smtpd, is named", async () => {
  await publish(zone);
  await asRoot("out", "sv down signer");
  const checked = await check();
  await asRoot("out", "sv up signer");
  assert.equal(checked.status, 1);
  assert.equal(trouble(checked).filter((line) => line.startsWith("wrong MAIL")).length, 3);
  assert.equal(trouble(checked).length, 3);
  assert.match(findingOf(checked, "wrong", "MAIL", "out.mail").found[0] ?? "", /can't be signed/);
});
