import assert from "node:assert/strict";
import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { exec } from "#host/exec.ts";
import { parseFleet } from "./definition/definition.ts";
import { fleetPlan, fleetSecrets, roles, siteMachines } from "./plan.ts";
import { renderPlan, writeRendered } from "./render.ts";
import { version } from "./version.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const golden = join(root, "test/golden/render");
const definition = await readFile(join(golden, "fleet.yaml"), "utf8");
const fleet = parseFleet(definition, "fleet.yaml");
const fleetWithOut = parseFleet(definition.replace("ledger: 1 }", "ledger: 1, out: 1 }"), "fleet.yaml");
const fleetWithAll = parseFleet(definition.replace("ledger: 1 }", "ledger: 1, out: 1, spam-out: 1 }"), "fleet.yaml");
/** Fixed public halves, so that the same bytes come out on every machine. */
const keys = {
  publicKeys: new Map(
    fleetSecrets(fleetWithAll, 1).map(({ name, kind }) => [
      name,
      kind === "tls" ? `certificate of ${name}\n` : `ssh-ed25519 PUBLIC-KEY-OF-${name}`,
    ]),
  ),
  dkimGeneration: 1,
};

async function assertGolden(name: string, rendered: Map<string, string>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-render-"));
  try {
    const expected = join(golden, name);
    if (process.env["UPDATE_GOLDENS"] === "1") await writeRendered(expected, rendered);
    const found = join(folder, name);
    await writeRendered(found, rendered);
    const { stdout } = await exec("diff", ["--recursive", "--unified=1", "--new-file", expected, found]);
    assert.equal(stdout.toString("utf8"), "");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("what each machine gets is the golden, byte for byte (npm run golden rewrites it)", async () => {
  await assertGolden("machines", renderPlan(fleetPlan(fleet, keys)));
});

test("and with a machine `out`: what it gets, and the links", async () => {
  const all = [...renderPlan(fleetPlan(fleetWithOut, keys))];
  await assertGolden("with-out", new Map(all.filter(([path]) => /^(?:alpha-out|network)\//.test(path))));
});

test("and with a machine `spam-out`", async () => {
  const all = [...renderPlan(fleetPlan(fleetWithAll, keys))];
  await assertGolden("with-spam-out", new Map(all.filter(([path]) => /^(?:alpha-spam-out|network)\//.test(path))));
});

test("rendered programs accept what was rendered for them: sshd_config", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shoal-render-"));
  try {
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "key")]);
    const rendered = renderPlan(fleetPlan(fleetWithAll, keys));
    let checked = 0;
    for (const [path, text] of rendered) {
      if (!path.endsWith("/sshd_config")) continue;
      // The host's sshd may be older than the machines' and not know this one option.
      const known = text.replace(/^PerSourcePenaltyExemptList.*\n/m, "");
      await writeFile(join(folder, "sshd_config"), known.replace("/etc/ssh/ssh_host_ed25519_key", join(folder, "key")));
      await exec("/usr/sbin/sshd", ["-t", "-f", join(folder, "sshd_config")]);
      checked++;
    }
    assert.equal(checked, 9);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("machines of a site: names, addresses and links do not collide, and every link ends at a machine or the resolver", () => {
  const machines = siteMachines(fleetWithAll, "alpha");
  const plan = fleetPlan(fleetWithAll, keys);
  assert.equal(new Set(machines.map(({ name }) => name)).size, machines.length);
  assert.equal(new Set(machines.map(({ address }) => address)).size, machines.length);
  const ends = new Set(["world", fleet.resolver, ...machines.map(({ name }) => name)]);
  assert.ok(Array.isArray(plan.links));
  for (const { from, to } of plan.links as { from: string; to: string }[])
    assert.ok(ends.has(from) && ends.has(to), `${from} -> ${to}`);
  assert.deepEqual(new Set(machines.map(({ role }) => role)), new Set(roles.map(({ name }) => name)));
});

test("a folder is made to hold what was rendered and nothing else, and what is right is not touched", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shoal-render-"));
  try {
    const files = async (): Promise<string[]> =>
      (await readdir(folder, { recursive: true, withFileTypes: true }))
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .sort();
    await writeRendered(
      folder,
      new Map(["a/same", "a/changed", "b/c/gone", "d/becomes-file"].map((path) => [path, "one"])),
    );
    await symlink("/etc/hostname", join(folder, "a/link"));
    await symlink("/etc/hostname", join(folder, "a/becomes-real"));
    const { mtimeNs, ino } = await stat(join(folder, "a/same"), { bigint: true });
    await writeRendered(
      folder,
      new Map([
        ["a/same", "one"],
        ["a/changed", "two"],
        ["a/becomes-real", "three"],
        ["d", "four"],
      ]),
    );
    assert.deepEqual(await files(), ["a", "a/becomes-real", "a/changed", "a/same", "d"]);
    assert.equal(await readFile(join(folder, "a/changed"), "utf8"), "two");
    assert.ok((await lstat(join(folder, "a/becomes-real"))).isFile());
    const now = await stat(join(folder, "a/same"), { bigint: true });
    assert.deepEqual([now.mtimeNs, now.ino], [mtimeNs, ino]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("the version is the package's", async () => {
  const text = await readFile(join(root, "package.json"), "utf8");
  assert.equal((JSON.parse(text) as { version: string }).version, version);
  assert.ok((await readdir(golden)).includes("machines"));
});
