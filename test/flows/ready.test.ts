/** How long `shoalctl up` waits for a machine's services: as long as they work, and not for those that keep ending. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { HostError } from "#core/errors.ts";
import type { ContentReader } from "#fleet/cell/cell.ts";
import { cellsUp, destroyCells } from "#fleet/cell/cells.ts";
import type { NetworkPlan } from "#fleet/cell/network-plan.ts";

const name = "readiness";
const socket = "/run/test.socket";

after(() => destroyCells(name));

/** One machine of an image that the ledger has too, with one service. */
function planOf(script: string): NetworkPlan {
  const machine = {
    name: "one",
    role: "ledger",
    hostname: "one.test",
    address: "10.188.0.1",
    packages: ["ssh-client", "ssh-server", "netcat", "node"],
    users: [],
    folders: [],
    files: [],
    services: [{ name: "late", command: ["/bin/sh", "-c", script], user: "root", listens: socket }],
    schedules: [],
  };
  return {
    name,
    machines: [machine],
    links: [],
    uplink: { kind: "host" },
    prefix: "10.188.0.0/16",
    transit: [],
    routerAddress: "10.188.0.253",
    outsideAddress: "10.188.0.254",
  };
}

async function up(script: string): Promise<string[]> {
  const said: string[] = [];
  const read: ContentReader = (content) => {
    assert.ok("text" in content);
    return Promise.resolve(content.text);
  };
  await cellsUp(planOf(script), { read, onProgress: (text) => said.push(text), readySeconds: 4 });
  return said;
}

test("a service that works before it listens has the time that it needs, and the operator is told", async () => {
  const said = await up(`sleep 17; exec nc -lkU ${socket}`);
  assert.match(said.join("\n"), /machine one: waiting for late, 15 s/);
});

test("a service that keeps ending is named, with what it said last", async () => {
  const from = performance.now();
  await assert.rejects(up("echo no configuration; exit 1"), (error: unknown) => {
    assert.ok(error instanceof HostError);
    assert.equal(error.code, "TIMEOUT");
    assert.match(error.message, /machine "one": late does not listen on \/run\/test.socket after/);
    assert.match(error.hint ?? "", /no configuration/);
    return true;
  });
  assert.ok(performance.now() - from < 60_000, "it is not given the time of one that works");
});
