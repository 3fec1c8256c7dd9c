import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import * as fc from "fast-check";
import { addUsers, idsOf } from "./accounts.ts";
import { debianPackages } from "./debian.ts";
import { firewallRules } from "./firewall.ts";
import { deviceOf } from "./network.ts";
import { serviceFiles, shell } from "./supervise.ts";

const ports = [
  { machine: "a", address: "10.0.0.1", device: "m0a000001" },
  { machine: "b", address: "10.0.0.2", device: "m0a000002" },
];

test("firewall: everything is dropped but the links, and nobody speaks with another's address", () => {
  const rules = firewallRules(ports, [
    { from: "world", to: "a", protocol: "tcp", port: 25 },
    { from: "a", to: "b", protocol: "tcp", port: 22 },
    { from: "b", to: "192.0.2.53", protocol: "udp", port: 53 },
  ]);
  assert.match(rules, /type filter hook forward priority filter; policy drop;/);
  assert.match(rules, /type filter hook input priority filter; policy drop;/);
  assert.deepEqual(
    rules.split("\n").filter((line) => line.endsWith(" accept") && line.includes("dport")),
    [
      '    iifname "world" oifname "m0a000001" ip daddr 10.0.0.1 tcp dport 25 accept',
      '    iifname "m0a000001" ip saddr 10.0.0.1 oifname "m0a000002" ip daddr 10.0.0.2 tcp dport 22 accept',
      '    iifname "m0a000002" ip saddr 10.0.0.2 oifname "world" ip daddr 192.0.2.53 udp dport 53 accept',
    ],
  );
  for (const { device, address } of ports) assert.ok(rules.includes(`iifname "${device}" ip saddr != ${address} drop`));
  const spoof = rules.indexOf("drop\n", rules.indexOf("saddr !="));
  assert.ok(spoof < rules.indexOf("dport"), "the check of addresses comes before what is let through");
});

test("firewall: a link to a machine that is not there is an error, not a hole", () => {
  for (const to of ["c", "10.0.0", "a; accept", ""]) {
    assert.throws(() => firewallRules(ports, [{ from: "a", to, protocol: "tcp", port: 1 }]), TypeError);
  }
});

test("interfaces are named by address, within the kernel's 15 characters and without collisions", () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), (one, other) => {
      assert.ok(deviceOf(one).length <= 15);
      assert.equal(deviceOf(one) === deviceOf(other), one === other);
    }),
  );
});

test("accounts: users come after the image's own, in groups of theirs, and none has a password", () => {
  const base = {
    passwd: "root:x:0:0:root:/root:/bin/bash\n",
    group: "root:x:0:\nmail:x:8:\n",
    shadow: "root:*:1::::::\n",
  };
  const files = addUsers(base, [
    { name: "alice", uid: 20_000, group: "alice", home: "/", shell: "/usr/sbin/nologin" },
    { name: "bob", uid: 20_001, group: "mail", home: "/", shell: "/usr/sbin/nologin" },
  ]);
  assert.equal(
    files.passwd,
    `${base.passwd}alice:x:20000:20000::/:/usr/sbin/nologin\nbob:x:20001:8::/:/usr/sbin/nologin\n`,
  );
  assert.equal(files.group, `${base.group}alice:x:20000:\n`);
  assert.deepEqual(
    [...idsOf(files).users],
    [
      ["root", 0],
      ["alice", 20_000],
      ["bob", 20_001],
    ],
  );
  for (const line of files.shadow.split("\n").slice(0, -1)) assert.equal(line.split(":")[1], "*");
});

test("service scripts say exactly the command, whatever is in it", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ minLength: 1 }).filter((word) => !word.includes("\0")),
        { minLength: 1, maxLength: 4 },
      ),
      (words) => {
        const printed = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${shell(words)}`]).toString("utf8");
        assert.deepEqual(printed.split("\0").slice(0, -1), words);
      },
    ),
    { numRuns: 50 },
  );
  const [run] = serviceFiles(
    [{ name: "one", user: "nobody", command: ["/bin/do", "it's"], before: [["mkdir", "a b"]] }],
    [],
  );
  assert.deepEqual(run?.content, {
    text: "#!/bin/sh\nexec 2>&1\nmkdir 'a b' || exit 1\nexec chpst -u nobody /bin/do 'it'\\''s'\n",
  });
});

test("a package that no target knows is an error", () => {
  assert.deepEqual(debianPackages(["age"]), ["age", "iproute2", "runit"]);
  assert.throws(() => debianPackages(["telnet-server"]), /no Debian package is known for "telnet-server"/);
});
