import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as v from "valibot";
import { MAX_RECIPIENTS } from "#core/mail/submission/command.ts";
import { DEFAULT_LIMITS } from "#core/mail/submission/prepare.ts";
import { type Fleet, parseFleet } from "#fleet/definition/definition.ts";
import { fleetPlan, fleetSecrets, siteMachines } from "#fleet/plan.ts";
import { renderPlan } from "#fleet/render.ts";
import { submitSchema } from "#roles/out/config.ts";

const text = await readFile(new URL("../../../test/golden/render/fleet.yaml", import.meta.url), "utf8");
const withTwo = text.replace("ledger: 1 }", "ledger: 1, out: 2 }");
const fleet = parseFleet(withTwo, "fleet.yaml");

function rendered(of: Fleet): Map<string, string> {
  const publicKeys = new Map(fleetSecrets(of, 1).map(({ name }) => [name, `ssh-ed25519 ${btoa(name)}`]));
  return renderPlan(fleetPlan(of, { publicKeys, dkimGeneration: 1 }));
}

function textOf(path: string, of = fleet): string {
  return rendered(of).get(path) ?? "";
}

test("the role may be left out, and 0 is the same", () => {
  assert.equal(parseFleet(text, "a").roles.out, 0);
  assert.deepEqual(parseFleet(text.replace("ledger: 1 }", "ledger: 1, out: 0 }"), "a"), parseFleet(text, "a"));
  assert.throws(() => parseFleet(text.replace("ledger: 1 }", "ledger: 1, out: 10 }"), "a"), /from 0 to 9/);
});

test("addresses do not collide, second ones too", () => {
  const machines = siteMachines(parseFleet(text.replace("ledger: 1 }", "ledger: 1, out: 9 }"), "a"), "omega");
  const addresses = machines.flatMap(({ address, secondAddress }) => [address, ...(secondAddress ?? "").split(" ")]);
  const all = addresses.filter((address) => address !== "");
  assert.equal(new Set(all).size, machines.length + 9);
});

test("the firewall: from the world SSH alone, to the world mail and policies, from either address", () => {
  const rules = textOf("network/nftables.conf").split("\n");
  const own = rules.filter((rule) => rule.includes("10.83.0.97"));
  assert.deepEqual(
    own.map((rule) => rule.trim()),
    [
      'iifname "m0a530061" ip saddr != { 10.83.0.97, 10.83.0.241 } drop',
      'iifname "m0a530051" ip saddr 10.83.0.81 oifname "m0a530061" ip daddr 10.83.0.97 tcp dport 22 accept',
      'iifname "world" oifname "m0a530061" ip daddr 10.83.0.97 tcp dport 22 accept',
      'iifname "m0a530061" ip saddr { 10.83.0.97, 10.83.0.241 } oifname "world" tcp dport 25 accept',
      'iifname "m0a530061" ip saddr { 10.83.0.97, 10.83.0.241 } oifname "world" tcp dport 443 accept',
      'iifname "m0a530061" ip saddr { 10.83.0.97, 10.83.0.241 } oifname "m0a530011" ip daddr 10.83.0.17 tcp dport 25 accept',
      'iifname "m0a530061" ip saddr { 10.83.0.97, 10.83.0.241 } oifname "m0a530012" ip daddr 10.83.0.18 tcp dport 25 accept',
      'iifname "m0a530061" ip saddr { 10.83.0.97, 10.83.0.241 } oifname "world" ip daddr 192.0.2.53 udp dport 53 accept',
      'iifname "m0a530061" ip saddr { 10.83.0.97, 10.83.0.241 } oifname "world" ip daddr 192.0.2.53 tcp dport 53 accept',
    ],
  );
});

test("names are validated and private addresses left alone, but in a test world", () => {
  const world = parseFleet(withTwo.replace("uplink: host", "uplink: netns:world"), "a");
  assert.match(textOf("alpha-out/root/etc/unbound/shoal.conf"), /trust-anchor-file: \/usr\/share\/dns\/root\.key/);
  assert.doesNotMatch(textOf("alpha-out/root/etc/unbound/shoal.conf", world), /trust-anchor/);
  assert.doesNotMatch(textOf("alpha-out/root/etc/shoal/submit.json"), /allowPrivate/);
  assert.match(textOf("alpha-out/root/etc/shoal/submit.json", world), /"allowPrivate": true/);
  assert.equal(textOf("alpha-out/root/etc/resolv.conf").split("\n", 1)[0], "nameserver 127.0.0.1");
});

test("shoal-submit takes its configuration, and no more than a message may have", () => {
  const large = parseFleet(withTwo.replace("message: 35 MB", "message: 90 MB"), "a");
  const { limits } = v.parse(submitSchema, JSON.parse(textOf("alpha-out/root/etc/shoal/submit.json", large)));
  assert.deepEqual([limits.recipients, limits.messageBytes], [MAX_RECIPIENTS, DEFAULT_LIMITS.bytes]);
  const usual = v.parse(submitSchema, JSON.parse(textOf("alpha-out/root/etc/shoal/submit.json")));
  assert.equal(usual.limits.messageBytes, 35_000_000);
});

test("the ledger feeds them, and their keys are named and not shown", () => {
  assert.match(textOf("alpha-ledger/root/etc/shoal/ledger.json"), /"machine": "alpha-out-2",\n\s*"role": "out"/);
  const page = textOf("alpha-out-2/MACHINE");
  assert.match(page, /^file \/etc\/shoal\/queue\.key 0?400 root:root secret queue\/alpha-out-2$/m);
  assert.match(page, /^file \/etc\/shoal\/thread\.key 0?400 shoal-submit:shoal-submit secret threads\/alpha-out-2$/m);
  assert.match(page, /^second address 10\.83\.0\.242$/m);
});

test("machines `spam-out` are asked in turns, each by the key of its own link", () => {
  const some = parseFleet(text.replace("ledger: 1 }", "ledger: 1, out: 3, spam-out: 2 }"), "a");
  const asked = ["out", "out-2", "out-3"].map(
    (name) => /rspamd-link@(\S+)/.exec(textOf(`alpha-${name}/MACHINE`, some))?.[1],
  );
  assert.deepEqual(
    asked,
    [1, 2, 1].map((number) => `spam-out${number === 1 ? "" : "-2"}.mail.shoal.example`),
  );
  assert.match(
    textOf("alpha-out-2/MACHINE", some),
    /^file \S+ 0400 shoal-spam:shoal-spam secret link\/alpha-out-2\/alpha-spam-out-2$/m,
  );
  assert.deepEqual(v.parse(submitSchema, JSON.parse(textOf("alpha-out/root/etc/shoal/submit.json", some))).judge, {
    port: 11_333,
    seconds: 30,
  });
  assert.doesNotMatch(textOf("alpha-out/root/etc/shoal/submit.json"), /judge/);
  const rules = textOf("network/nftables.conf", some).split("\n");
  const ofJudge = rules.filter((rule) => rule.includes("10.83.0.113")).map((rule) => rule.trim());
  assert.deepEqual(ofJudge, [
    'iifname "m0a530071" ip saddr != 10.83.0.113 drop',
    'iifname "m0a530061" ip saddr { 10.83.0.97, 10.83.0.241 } oifname "m0a530071" ip daddr 10.83.0.113 tcp dport 22 accept',
    'iifname "m0a530063" ip saddr { 10.83.0.99, 10.83.0.243 } oifname "m0a530071" ip daddr 10.83.0.113 tcp dport 22 accept',
  ]);
});

test("what signs is on the machine and on no other, for root alone", () => {
  const all = rendered(fleet);
  const pages = [...all].filter(([path]) => path.endsWith("/MACHINE"));
  const holders = pages.filter(([, page]) => page.includes("secret dkim/")).map(([path]) => path);
  assert.deepEqual(holders, ["alpha-out/MACHINE", "alpha-out-2/MACHINE"]);
  const lines = textOf("alpha-out/MACHINE")
    .split("\n")
    .filter((line) => line.includes("secret dkim/"));
  assert.deepEqual(
    lines,
    ["r", "e"].map((one) => `file /etc/shoal/dkim/g1${one} 0400 root:root secret dkim/g1${one}`),
  );
});
