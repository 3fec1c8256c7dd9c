import assert from "node:assert/strict";
import { test } from "node:test";
import { debianPackages, defineDebianPackages } from "#fleet/cell/debian.ts";
import type { MachineSpec } from "#fleet/machine.ts";
import { zonePath } from "#test/world/dns.ts";
import { type WorldOptions, worldMachines, worldPackages } from "#test/world/world.ts";
import { splitIntoZones, zoneFile } from "#test/world/zones.ts";

const options: WorldOptions = {
  network: "10.84.0",
  fleet: {
    domain: "shoal.example",
    mx: [
      { name: "in.mail.shoal.example", address: "10.83.0.17" },
      { name: "in-2.mail.shoal.example", address: "10.83.0.18" },
    ],
    hosts: [{ name: "fetch.mail.shoal.example", address: "10.83.0.49" }],
  },
  records: [{ name: "s1._domainkey.post.example", type: "TXT", data: `v=DKIM1; p=${"A".repeat(400)}` }],
};

function machine(name: string): MachineSpec {
  const found = worldMachines(options).find((one) => one.name === name);
  assert.ok(found, name);
  return found;
}

function fileText(name: string, path: string): string {
  const content = machine(name).files.find((file) => file.path === path)?.content;
  assert.ok(content !== undefined && "text" in content, `${name} has no text file ${path}`);
  return content.text;
}

test("four machines with addresses of their own, every package is known, no file is written twice", () => {
  defineDebianPackages(worldPackages);
  const machines = worldMachines(options);
  assert.deepEqual(
    machines.map(({ name, address, hostname }) => [name, address, hostname]),
    [
      ["dns", "10.84.0.53", "ns.world.example"],
      ["post", "10.84.0.25", "mx.post.example"],
      ["exim", "10.84.0.26", "mx.exim.example"],
      ["user", "10.84.0.77", "laptop.world.example"],
    ],
  );
  for (const { name, packages, files } of machines) {
    assert.ok(debianPackages(packages).length > packages.length, name);
    const paths = files.map(({ path }) => path);
    assert.deepEqual(paths, [...new Set(paths)], name);
  }
});

test("the same options give the same machines", () => {
  assert.deepEqual(worldMachines(options), worldMachines(structuredClone(options)));
});

test("every machine asks the world's name server", () => {
  for (const name of ["dns", "post", "exim", "user"]) {
    assert.match(fileText(name, "/etc/resolv.conf"), /^nameserver 10\.84\.0\.53\n/);
  }
});

test("the fleet's zone names every MX with its address", () => {
  assert.equal(
    fileText("dns", zonePath("shoal.example")),
    `$TTL 1
shoal.example. SOA ns.world.example. hostmaster.ns.world.example. 1 60 60 3600 1
shoal.example. NS ns.world.example.
in.mail.shoal.example. A 10.83.0.17
in-2.mail.shoal.example. A 10.83.0.18
shoal.example. MX 10 in.mail.shoal.example.
shoal.example. MX 10 in-2.mail.shoal.example.
shoal.example. TXT "v=spf1 mx -all"
_dmarc.shoal.example. TXT "v=DMARC1; p=none"
fetch.mail.shoal.example. A 10.83.0.49
`,
  );
});

test("the root zone delegates, the reverse tree knows every address, all zones are configured", () => {
  const root = fileText("dns", zonePath(""));
  const config = fileText("dns", "/etc/nsd/nsd.conf");
  assert.match(root, /^\. SOA /m);
  for (const zone of ["shoal.example", "post.example", "exim.example", "world.example", "in-addr.arpa"]) {
    assert.ok(root.includes(`\n${zone}. NS ns.world.example.\n`), zone);
    assert.ok(config.includes(`name: "${zone}."\n  zonefile: "${zonePath(zone)}"`), zone);
  }
  const reverse = fileText("dns", zonePath("in-addr.arpa"));
  for (const line of [
    "17.0.83.10.in-addr.arpa. PTR in.mail.shoal.example.",
    "25.0.84.10.in-addr.arpa. PTR mx.post.example.",
    "77.0.84.10.in-addr.arpa. PTR laptop.world.example.",
  ]) {
    assert.ok(reverse.includes(`\n${line}\n`), line);
  }
});

test("long TXT records become several strings, quotes are escaped, line breaks are refused", () => {
  const zone = fileText("dns", zonePath("post.example"));
  const line = /^s1\._domainkey\.post\.example\. TXT (.*)$/m.exec(zone)?.[1] ?? "";
  const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, text]) => text ?? "");
  assert.equal(strings.join(""), `v=DKIM1; p=${"A".repeat(400)}`);
  assert.ok(strings.every((text) => text.length <= 255));
  assert.match(zoneFile("a", "ns", [{ name: "a", type: "TXT", data: 'x"y\\' }]), /TXT "x\\"y\\\\"\n$/);
  assert.throws(() => zoneFile("a", "ns", [{ name: "a", type: "TXT", data: "x\nevil A 1.2.3.4" }]), TypeError);
});

test("records go to the longest zone that holds them, and none is lost", () => {
  const records = ["x.b.example", "b.example", "xb.example", "other"].map(
    (name) => ({ name, type: "A", data: "1.2.3.4" }) as const,
  );
  const split = splitIntoZones(["example", "b.example"], records);
  assert.deepEqual(
    [...split].map(([zone, own]) => [zone, own.map(({ name }) => name)]),
    [
      ["", ["other"]],
      ["example", ["xb.example"]],
      ["b.example", ["x.b.example", "b.example"]],
    ],
  );
  assert.throws(() => zoneFile("b.example", "ns", [{ name: "xb.example", type: "A", data: "1.2.3.4" }]), TypeError);
});

test("Postfix takes mail for its own domain alone, retries within seconds, passes bytes as they are", () => {
  const main = fileText("post", "/etc/postfix/main.cf");
  for (const setting of [
    "myhostname = mx.post.example",
    "virtual_mailbox_domains = post.example",
    "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
    "smtp_tls_security_level = may",
    "minimal_backoff_time = 2s",
    "queue_run_delay = 2s",
    "maximal_backoff_time = 5s",
    "smtp_line_length_limit = 0",
    "message_drop_headers =",
  ]) {
    assert.ok(main.split("\n").includes(setting), setting);
  }
  const services = fileText("post", "/etc/postfix/master.cf").split("\n").slice(1, -1);
  for (const line of services) assert.equal(line.split(/\s+/).length, 8, line);
});

test("people have an account and a home that outlives the machine; the program is ours", () => {
  const { users, folders, files } = machine("user");
  assert.deepEqual(
    users.map(({ name, uid }) => [name, uid]),
    [
      ["alice", 1001],
      ["bob", 1002],
    ],
  );
  for (const { path, mode, keep } of folders) assert.deepEqual([mode, keep], [0o700, true], path);
  assert.ok(files.some(({ content }) => "program" in content && content.program === "shoal"));
});
