/**
 * Root file systems of roles: Debian 13 packages and nothing else, built once by mmdebstrap (apt checks every signature),
 * owned by the role's own range of user ids, and used read-only below each cell's overlay.
 */

import { createHash } from "node:crypto";
import { chmod, copyFile, lchown, link, lstat, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "#host/exec.ts";
import { exists, makeFolder } from "#host/files.ts";
import { waitForLock } from "#host/lock.ts";
import { debianPackages } from "./debian.ts";
import type { IdRange } from "./id-range.ts";
import { cacheFolder } from "./places.ts";

const suite = "trixie";
/** Raised when the way an image is made changes. */
const recipe = 1;

/**
 * What a package would otherwise do at every start. rspamd compiles its pattern databases for 15 s of processor time: here
 * it does so once, in a network namespace where it can reach nobody.
 */
const warmUps: Readonly<Record<string, string>> = {
  rspamd: [
    'echo "127.0.0.1 localhost" > "$1/etc/hosts";',
    'unshare --net chroot "$1" rspamd -f -u _rspamd -g _rspamd >/dev/null 2>&1 & pid=$!;',
    // It starts its workers when the databases are there.
    'for second in $(seq 180); do [ -n "$(cat /proc/$pid/task/$pid/children)" ] && break; sleep 1; done;',
    'kill $pid && wait $pid; ls "$1"/var/lib/rspamd/*.hsmp >&2',
  ].join(" "),
};

export interface Image {
  /** The root file system. */
  root: string;
  range: IdRange;
}

/**
 * Gives the image of a role, building it if the cache has none.
 * @param packages neutral package names
 * @param onProgress told what is going on when it takes long
 * @throws HostError EXEC when mmdebstrap fails
 */
export async function roleImage(
  role: string,
  packages: readonly string[],
  range: IdRange,
  onProgress: (text: string) => void,
): Promise<Image> {
  const names = debianPackages(packages);
  const withNode = packages.includes("node");
  const key = createHash("sha256")
    .update(JSON.stringify({ recipe, suite, names, first: range.first, node: withNode ? process.version : "" }))
    .digest("hex")
    .slice(0, 16);
  const folder = join(cacheFolder, "images", `${role}-${key}`);
  const root = join(folder, "root");
  if (await exists(root)) return { root, range };

  await makeFolder(join(cacheFolder, "images"), 0o755);
  // Whoever brings up another fleet at the same time may be building the same image.
  const lock = await waitForLock(`${folder}.lock`);
  try {
    if (!(await exists(root))) await buildImage(role, folder, names, withNode, range, onProgress);
  } finally {
    lock.release();
  }
  return { root, range };
}

async function buildImage(
  role: string,
  folder: string,
  names: readonly string[],
  withNode: boolean,
  range: IdRange,
  onProgress: (text: string) => void,
): Promise<void> {
  const building = `${folder}.${process.pid}.building`;
  onProgress(`image ${role}: Debian ${suite} with ${names.join(" ")}`);
  const buildingRoot = join(building, "root");
  try {
    await makeFolder(building, 0o755);
    await exec(
      "mmdebstrap",
      [
        "--quiet",
        "--variant=minbase",
        "--aptopt=APT::Install-Recommends false",
        "--aptopt=Acquire::Languages none",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        // A package must not start a service while the image is built.
        '--essential-hook=printf \'#!/bin/sh\\nexit 101\\n\' > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"',
        // Keys that a package made would be the same on every machine of the image.
        '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*',
        ...names.flatMap((name) => warmUps[name] ?? []).map((hook) => `--customize-hook=${hook}`),
        `--include=${names.join(",")}`,
        suite,
        buildingRoot,
      ],
      {
        timeoutSeconds: 1200,
        env: { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" },
      },
    );
    if (withNode) await installNode(buildingRoot);
    await shiftOwners(buildingRoot, range.first);
    await rename(building, folder);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw error;
  }
}

/** Removes what a killed build left behind. */
export async function removeUnfinishedImages(): Promise<void> {
  const folder = join(cacheFolder, "images");
  if (!(await exists(folder))) return;
  for (const name of await readdir(folder)) {
    const pid = /\.(\d+)\.building$/.exec(name)?.[1];
    if (pid !== undefined && !(await exists(`/proc/${pid}`)))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** The same Node that runs us, shared by all images through one hard-linked copy that no cell's root owns. */
async function installNode(root: string): Promise<void> {
  const copy = join(cacheFolder, `node-${process.version}-${process.arch}`);
  if (!(await exists(copy))) {
    const temporary = `${copy}.${process.pid}`;
    await copyFile(process.execPath, temporary);
    await chmod(temporary, 0o755);
    await rename(temporary, copy);
  }
  await link(copy, join(root, "usr/bin/node"));
}

/** Moves every owner up by `first`; set-id bits, which a change of owner drops, are put back. */
async function shiftOwners(folder: string, first: number): Promise<void> {
  const own = await lstat(folder);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      await shiftOwners(path, first);
      continue;
    }
    const { uid, gid, mode, nlink } = await lstat(path);
    if (uid >= first || (nlink > 1 && path.endsWith("/usr/bin/node"))) continue;
    await lchown(path, uid + first, gid + first);
    if (!entry.isSymbolicLink()) await chmod(path, mode & 0o7777);
  }
  await lchown(folder, own.uid + first, own.gid + first);
  await chmod(folder, own.mode & 0o7777);
}
