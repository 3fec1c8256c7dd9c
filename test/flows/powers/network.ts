/** Who reaches whom: the links of the roles, and nothing else, whatever root of a machine tries. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { deviceOf } from "#fleet/cell/network.ts";
import { routerNamespace } from "#fleet/cell/places.ts";
import { exec } from "#host/exec.ts";
import type { Stage } from "#test/world/stage.ts";
import { worldAddresses } from "#test/world/world.ts";

const fleetMachines = ["in", "spam-in", "fetch", "keys", "ledger"];
const ports = [21, 22, 25, 53, 80, 110, 143, 443, 465, 587, 993, 995, 2222, 8080, 10_025, 10_026, 11_333, 11_334];

/** "ADDRESS:PORT" -> what happened. "nothing" is a packet that nobody answered. */
type Probes = ReadonlyMap<string, "open" | "refused" | "nothing">;

const probeScript = `
for target in "$@"; do
  (
    said=$(timeout 2 bash -c "exec 3<>/dev/tcp/\${target%:*}/\${target#*:}" 2>&1) && result=open || result=nothing
    case $said in *refused*) result=refused ;; esac
    echo "$target $result"
  ) &
done
wait`;

/** Tries every port of every address, from root of a machine. */
async function probe(
  stage: Stage,
  from: string,
  addresses: readonly string[],
  chosen: readonly number[] = ports,
): Promise<Probes> {
  const targets = addresses.flatMap((address) => chosen.map((port) => `${address}:${port}`));
  const { stdout, stderr } = await stage.exec(from, ["bash", "-c", probeScript, "bash", ...targets], {});
  const probes = new Map(
    stdout
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split(" ") as [string, "open" | "refused" | "nothing"]),
  );
  assert.equal(probes.size, targets.length, stderr);
  return probes;
}

function reached(probes: Probes): string[] {
  return [...probes].flatMap(([target, result]) => (result === "nothing" ? [] : [`${target} ${result}`])).sort();
}

/** True when a name server answers by UDP. */
async function asksNames(stage: Stage, from: string, server: string): Promise<boolean> {
  const query = "\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4post\\7example\\0\\0\\1\\0\\1";
  const script = `exec 3<>/dev/udp/${server}/53; printf '${query}' >&3; timeout 1 head -c 2 <&3 | od -An -tx1`;
  const { stdout } = await stage.exec(from, ["bash", "-c", script]);
  return stdout.toString("utf8").trim() === "12 34";
}

/** Runs something while the router lets everything through. */
async function withoutFilter<T>(stage: Stage, action: () => Promise<T>): Promise<T> {
  const nft = async (args: readonly string[], input = ""): Promise<string> =>
    (await exec("ip", ["netns", "exec", routerNamespace(stage.fleet.name), "nft", ...args], { input })).stdout.toString(
      "utf8",
    );
  const rules = await nft(["list", "table", "inet", "shoal"]);
  for (const chain of ["forward", "input"]) await nft(["insert", "rule", "inet", "shoal", chain, "accept"]);
  try {
    return await action();
  } finally {
    await nft(["-f", "-"], `delete table inet shoal\n${rules}`);
  }
}

export function networkTests(stage: () => Stage): void {
  describe("the network", () => {
    let world: ReturnType<typeof worldAddresses>;
    let address: Record<string, string>;
    before(() => {
      world = worldAddresses(stage().fleet.resolver.replace(/\.\d+$/, ""));
      address = Object.fromEntries(fleetMachines.map((machine) => [machine, stage().address(machine)]));
    });

    for (const from of fleetMachines) {
      test(`root of \`${from}\` reaches the links of its role and nothing else`, async () => {
        // The router itself, on its inner and its outer side.
        const { base, prefixLength } = stage().fleet.network;
        assert.equal(prefixLength, 16);
        const routers = ["169.254.1.1", base.replace(".0.0", ".255.253")];
        const others = [
          ...fleetMachines.filter((name) => name !== from).map((name) => String(address[name])),
          ...Object.values(world),
          ...routers,
        ];
        const links: Record<string, string[]> = {
          in: [...["fetch", "spam-in", "ledger"].map((role) => `${address[role]}:22 open`), `${world.dns}:53 open`],
          "spam-in": [`${world.dns}:53 open`],
          fetch: [],
          keys: [],
          ledger: ["in", "fetch", "keys"].map((role) => `${address[role]}:22 open`),
        };
        assert.deepEqual(reached(await probe(stage(), from, others)), links[from]?.sort());
        assert.equal(await asksNames(stage(), from, world.dns), ["in", "spam-in"].includes(from));
        await withoutFilter(stage(), async () => {
          const answered = reached(await probe(stage(), from, others));
          assert.equal(answered.length, others.length * ports.length, `control: ${answered.join(", ")}`);
          assert.ok(await asksNames(stage(), from, world.dns), "control");
        });
      });
    }

    test("from the world only port 25 of `in` and port 22 of `fetch` and `keys` answer", async () => {
      const listening = new Set(ports);
      for (const machine of fleetMachines) {
        const { stdout } = await stage().exec(machine, ["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6"]);
        const lines = stdout.toString("utf8").matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A /gm);
        for (const [, port = ""] of lines) listening.add(Number.parseInt(port, 16));
      }
      const all = [...listening];
      for (const from of ["user", "post"]) {
        const probes = await probe(stage(), from, Object.values(address), all);
        const open = [`${address["in"]}:25 open`, `${address["fetch"]}:22 open`, `${address["keys"]}:22 open`];
        assert.deepEqual(reached(probes), open.sort(), from);
      }
      await withoutFilter(stage(), async () => {
        const answered = reached(await probe(stage(), "user", Object.values(address), all));
        assert.equal(answered.length, fleetMachines.length * all.length, "control");
        assert.ok(answered.includes(`${address["spam-in"]}:22 open`), "control");
      });
    });

    describe("another machine's address", () => {
      const namespace = (machine: string): string => `shoal-${stage().fleet.name}-alpha-${machine}`;
      const counter = async (...args: string[]): Promise<string> =>
        (await exec("ip", ["netns", "exec", routerNamespace(stage().fleet.name), "nft", ...args])).stdout.toString(
          "utf8",
        );

      before(async () => {
        // Counts what came through behind the filter.
        await counter("add table inet count; add chain inet count c { type filter hook forward priority 10; }");
        const from = `iifname ${deviceOf(String(address["fetch"]))} ip saddr ${address["in"]}`;
        await counter(`add rule inet count c ${from} counter`);
        // Root of the cell can't; this is what it could do if it could.
        await exec("ip", ["-n", namespace("fetch"), "address", "add", `${address["in"]}/32`, "dev", "lo"]);
      });
      after(async () => {
        await exec("ip", ["-n", namespace("fetch"), "address", "delete", `${address["in"]}/32`, "dev", "lo"]);
        await counter("delete", "table", "inet", "count");
      });

      test("is refused by the router", async () => {
        const script = `const socket = require("node:dgram").createSocket("udp4");
          socket.bind(0, "${address["in"]}", () => socket.send("x", 53, "${world.dns}", () => socket.close()));`;
        const send = () => exec("ip", ["netns", "exec", namespace("fetch"), process.execPath, "-e", script]);
        const passed = async () => Number(/packets (\d+)/.exec(await counter("list", "table", "inet", "count"))?.[1]);
        await send();
        assert.equal(await passed(), 0);
        await withoutFilter(stage(), send);
        assert.equal(await passed(), 1, "control");
      });

      test("can't be taken by root of a cell", async () => {
        const take = ["ip", "address", "add", `${address["spam-in"]}/32`, "dev", "lo"];
        for (const machine of fleetMachines) {
          const { status, stderr } = await stage().exec(machine, take);
          assert.notEqual(status, 0);
          assert.match(stderr, /Operation not permitted/);
        }
        await exec("ip", ["netns", "exec", namespace("in"), ...take]);
        await exec("ip", ["netns", "exec", namespace("in"), ...take.with(2, "delete")]);
      });
    });
  });
}
