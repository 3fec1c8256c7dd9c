/** One running machine: image, overlay, rendered files, network, container. */

import { chmodSync, lchownSync, lstatSync, mkdirSync, type Stats, writeFileSync } from "node:fs";
import { chmod, chown, lstat, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "#core/errors.ts";
import type { FileContent, FileSpec, MachineSpec } from "#fleet/machine.ts";
import { type ExecOptions, type ExecResult, exec, tryExec } from "#host/exec.ts";
import { exists, makeFolder } from "#host/files.ts";
import { addUsers, type Ids, idsOf } from "./accounts.ts";
import type { Image } from "./image.ts";
import { killLeftOvers } from "./left-overs.ts";
import { addMachineNetwork, namespaces, removeMachineNetwork } from "./network.ts";
import type { NetworkPlan } from "./network-plan.ts";
import { cellPlaces, runcRoot } from "./places.ts";
import { capabilities, runcSpec } from "./runc-spec.ts";
import { serviceFiles } from "./supervise.ts";

/** Gives the bytes of a file's content: rendered text, a secret, or a built program. */
export type ContentReader = (content: FileContent) => Promise<string | Uint8Array>;

/** Starts a machine that is not running. Whatever an earlier life left is removed first; kept folders stay. */
export async function startCell(
  plan: NetworkPlan,
  machine: MachineSpec,
  image: Image,
  read: ContentReader,
): Promise<void> {
  await stopCell(plan.name, machine.name);
  const places = cellPlaces(plan.name, machine.name);
  for (const folder of [places.upper, places.work, places.root, places.bundle, places.keep]) await makeFolder(folder);
  for (const folder of [places.upper, places.work]) await chown(folder, image.range.first, image.range.first);

  const layers: Layers = { upper: places.upper, image: image.root, first: image.range.first };
  const ids = await writeAccounts(machine, layers);
  const owners = ownersOf(ids, image.range.first);
  const binds = await writeFolders(machine, places.keep, layers, owners);
  await writeFiles([...machine.files, ...serviceFiles(machine.services, machine.schedules)], layers, owners, read);
  await writeFile(join(places.upper, "etc/hostname"), `${machine.hostname}\n`);

  await exec("mount", [
    "-t",
    "overlay",
    "overlay",
    "-o",
    `lowerdir=${image.root},upperdir=${places.upper},workdir=${places.work}`,
    places.root,
  ]);
  await addMachineNetwork(plan, machine);
  const spec = runcSpec({
    root: places.root,
    hostname: machine.hostname.split(".")[0] ?? machine.name,
    range: image.range,
    networkNamespace: places.id,
    binds,
  });
  await writeFile(join(places.bundle, "config.json"), JSON.stringify(spec, null, 1));
  await makeFolder(runcRoot, 0o711);
  await exec("sh", [
    "-c",
    'ulimit -n 65536; exec "$@" </dev/null >"$0" 2>&1',
    join(places.bundle, "console"),
    "runc",
    "--root",
    runcRoot,
    "run",
    "--detach",
    "--bundle",
    places.bundle,
    places.id,
  ]).catch(async (cause: unknown) => {
    const said = await readFile(join(places.bundle, "console"), "utf8");
    throw new HostError("EXEC", `can't start machine "${machine.name}": ${said.trim().slice(-1500)}`, { cause });
  });
  await forbidNestedNamespaces(plan.name, machine.name);
}

/** In a user namespace of its own anybody has every capability: more of the kernel to attack, and no service needs it. */
async function forbidNestedNamespaces(network: string, machine: string): Promise<void> {
  const status = await cellStatus(network, machine);
  if (status === undefined) throw new HostError("EXEC", `machine "${machine}" ended as soon as it had started`);
  const script = "echo 0 > /proc/sys/user/max_user_namespaces";
  await exec("nsenter", [`--target=${status.pid}`, "--user", "sh", "-c", script]);
}

/** Ends a machine and removes everything of this life; harmless when there is none. */
export async function stopCell(network: string, machine: string): Promise<void> {
  const places = cellPlaces(network, machine);
  if ((await cellStatus(network, machine)) !== undefined) {
    // runsvdir ends its services on HUP; what is left after that is killed with the namespace.
    await tryExec("runc", ["--root", runcRoot, "kill", places.id, "HUP"]);
    for (let tries = 0; tries < 40 && (await cellStatus(network, machine))?.status === "running"; tries++)
      await sleep(50);
    await tryExec("runc", ["--root", runcRoot, "kill", places.id, "KILL"]);
    for (let tries = 0; tries < 100 && (await cellStatus(network, machine))?.status === "running"; tries++)
      await sleep(50);
    await exec("runc", ["--root", runcRoot, "delete", "--force", places.id]);
  }
  await killLeftOvers(places.upper, (await namespaces()).includes(places.id) ? places.id : null);
  await removeMachineNetwork(network, machine);
  await unmount(places.root);
  await rm(places.folder, { recursive: true, force: true });
}

export interface CellStatus {
  status: string;
  pid: number;
}

/** State of a machine, or undefined when there is none. */
export async function cellStatus(network: string, machine: string): Promise<CellStatus | undefined> {
  const { id } = cellPlaces(network, machine);
  const { status, stdout, stderr } = await tryExec("runc", ["--root", runcRoot, "state", id]);
  if (status !== 0) {
    if (stderr.includes("does not exist")) return undefined;
    throw new HostError("EXEC", `runc state ${id} failed: ${stderr.trim()}`);
  }
  const state = JSON.parse(stdout.toString("utf8")) as CellStatus;
  return { status: state.status, pid: state.pid };
}

/**
 * The command line that runs `command` as root of a machine. (`runc exec` can't: it enters the user namespace first and may
 * then no longer enter the network namespace, which belongs to the host.)
 * @throws HostError EXEC when the machine does not run
 */
export async function cellCommand(
  network: string,
  machine: string,
  command: readonly string[],
): Promise<[string, ...string[]]> {
  const status = await cellStatus(network, machine);
  if (status?.status !== "running") {
    throw new HostError("EXEC", `machine "${machine}" does not run`, {
      hint: "`shoalctl status` shows what runs, `shoalctl up` starts it",
    });
  }
  const all = [
    "--user",
    "--net",
    "--pid",
    "--mount",
    "--ipc",
    "--uts",
    "--root",
    "--wdns=/",
    "--setuid=0",
    "--setgid=0",
  ];
  const clean = [
    "env",
    "-i",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
    "HOME=/root",
  ];
  // Entering a user namespace gives every capability; root of the machine has fewer.
  const kept = capabilities.map((name) => `+${name.replace("CAP_", "").toLowerCase()}`).join(",");
  return [
    "nsenter",
    `--target=${status.pid}`,
    ...all,
    "/usr/bin/setpriv",
    `--bounding-set=-all,${kept}`,
    ...clean,
    ...command,
  ];
}

/** Runs a command as root of the machine and gives its result, whatever its exit status. */
export async function execInCell(
  network: string,
  machine: string,
  command: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const [program, ...args] = await cellCommand(network, machine, command);
  return await tryExec(program, args, options);
}

/** Unmounts; what a dying process still holds open is detached after two seconds and goes with it. */
async function unmount(path: string): Promise<void> {
  for (let tries = 0; await isMounted(path); tries++) {
    if (tries < 40) {
      const { status } = await tryExec("umount", [path]);
      if (status !== 0) await sleep(50);
    } else {
      await exec("umount", ["--lazy", path]);
    }
  }
}

async function isMounted(path: string): Promise<boolean> {
  return (await readFile("/proc/self/mounts", "utf8")).split("\n").some((line) => line.split(" ")[1] === path);
}

interface Layers {
  upper: string;
  /** The image's root, below the upper layer. */
  image: string;
  /** Host id of the cell's root. */
  first: number;
}

interface Owners {
  of(spec: { path: string; owner: string; group: string }): [uid: number, gid: number];
}

function ownersOf(ids: Ids, first: number): Owners {
  return {
    of({ path, owner, group }) {
      const uid = ids.users.get(owner);
      const gid = ids.groups.get(group);
      if (uid === undefined)
        throw new HostError("FILE", `"${path}" belongs to "${owner}", which is no account of the machine`);
      if (gid === undefined)
        throw new HostError("FILE", `"${path}" belongs to group "${group}", which the machine does not have`);
      return [uid + first, gid + first];
    },
  };
}

async function writeAccounts(machine: MachineSpec, layers: Layers): Promise<Ids> {
  const etc = join(layers.image, "etc");
  const [passwd, group, shadow] = await Promise.all(
    ["passwd", "group", "shadow"].map((name) => readFile(join(etc, name), "utf8")),
  );
  if (passwd === undefined || group === undefined || shadow === undefined)
    throw new HostError("FILE", `image of "${machine.name}" has no accounts`);
  const files = addUsers({ passwd, group, shadow }, machine.users);
  const upper = join(layers.upper, "etc");
  await makeUpperFolder(layers, "/etc");
  for (const [name, text] of Object.entries(files)) {
    const path = join(upper, name);
    const { uid, gid, mode } = await lstat(join(etc, name));
    await writeFile(path, text);
    await chown(path, uid, gid);
    await chmod(path, mode & 0o7777);
  }
  return idsOf(files);
}

/**
 * Makes folders in the upper layer. A folder of the upper layer replaces owner and mode of the image's folder below it, so
 * those are copied where the image has one.
 */
async function makeUpperFolder(layers: Layers, path: string): Promise<void> {
  let inside = "";
  for (const part of path.split("/").slice(1)) {
    inside += `/${part}`;
    const folder = layers.upper + inside;
    if (await exists(folder)) continue;
    const below = layers.image + inside;
    const { uid, gid, mode } = (await exists(below))
      ? await lstat(below)
      : { uid: layers.first, gid: layers.first, mode: 0o755 };
    await mkdir(folder);
    await chown(folder, uid, gid);
    await chmod(folder, mode & 0o7777);
  }
}

async function writeFolders(
  machine: MachineSpec,
  keep: string,
  layers: Layers,
  owners: Owners,
): Promise<{ source: string; destination: string }[]> {
  const binds: { source: string; destination: string }[] = [];
  for (const spec of machine.folders) {
    const bind = binds.find(({ destination }) => spec.path.startsWith(`${destination}/`));
    let path: string;
    if (bind !== undefined) {
      path = join(bind.source, spec.path.slice(bind.destination.length));
    } else if (spec.keep) {
      path = join(keep, spec.path.slice(1).replaceAll("/", "_"));
      binds.push({ source: path, destination: spec.path });
      await makeUpperFolder(layers, spec.path);
    } else {
      await makeUpperFolder(layers, dirname(spec.path));
      path = join(layers.upper, spec.path);
    }
    give(path, makeFolderSync(path), owners.of(spec), spec.mode);
  }
  return binds;
}

async function writeFiles(
  files: readonly FileSpec[],
  layers: Layers,
  owners: Owners,
  read: ContentReader,
): Promise<void> {
  const made = new Set<string>();
  for (const spec of files) {
    const path = join(layers.upper, spec.path);
    const folder = dirname(spec.path);
    if (!made.has(folder)) {
      await makeUpperFolder(layers, folder);
      made.add(folder);
    }
    writeFileSync(path, await read(spec.content));
    give(path, lstatSync(path), owners.of(spec), spec.mode);
  }
}

// A machine may have tens of thousands of folders and files (three and one for each account). Waiting for each call takes
// many times as long as the call.

/** Makes a folder if there is none and says what it is. */
function makeFolderSync(path: string): Stats {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined) return found;
  mkdirSync(path);
  return lstatSync(path);
}

/** Sets owner and mode where they are not right. */
function give(
  path: string,
  { uid, gid, mode }: Stats,
  [wantedUid, wantedGid]: [number, number],
  wantedMode: number,
): void {
  const moves = uid !== wantedUid || gid !== wantedGid;
  if (moves) lchownSync(path, wantedUid, wantedGid);
  // A change of owner drops set-id bits.
  if (moves || (mode & 0o7777) !== wantedMode) chmodSync(path, wantedMode);
}
