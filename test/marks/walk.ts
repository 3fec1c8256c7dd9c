/** Walks folders: finds the files whose content is to be searched, and looks at every name and link on the way. */

import { type Dirent, lstatSync, readdirSync, readlinkSync, statfsSync } from "node:fs";
import { join } from "node:path";

export interface Walked {
  /** Regular files, the largest first; a file with several hard links once. */
  files: string[];
  problems: { file: string; reason: string }[];
  vanished: string[];
}

/** Types (statfs) of file systems that hold no stored bytes: views into the kernel. */
const kernelViews: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x1cd1, // devpts
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0xcafe4a11, // bpf
  0x19800202, // mqueue
  0x6e736673, // nsfs
]);

/**
 * Walks the roots (folders, or single files), entering mounted folders unless they are views into the kernel, and
 * following no link. `look` gets each name and each link's target. Folders in `skip` are not entered.
 */
export function walk(
  roots: readonly string[],
  look: (path: string, text: string, where: "name" | "link") => void,
  skip: ReadonlySet<string> = new Set(),
): Walked {
  const sizes = new Map<string, number>();
  const seenLinks = new Set<string>();
  const walked: Walked = { files: [], problems: [], vanished: [] };
  /** Folders still to enter, with the device of the folder that holds them. */
  const folders: [path: string, device: number | null][] = [];

  const file = (path: string): void => {
    const found = lstatSync(path);
    // A device may be mounted over a file, and then the folder still calls it a file.
    if (!found.isFile()) return;
    const { dev, ino, nlink, size } = found;
    const key = `${dev}:${ino}`;
    if (nlink > 1 && seenLinks.has(key)) return;
    seenLinks.add(key);
    sizes.set(path, size);
  };
  const entry = (
    path: string,
    kind: Pick<Dirent, "isFile" | "isSymbolicLink" | "isDirectory">,
    device: number | null,
  ) => {
    if (skip.has(path)) return;
    if (kind.isDirectory()) folders.push([path, device]);
    else if (kind.isFile()) file(path);
    else if (kind.isSymbolicLink()) look(path, readlinkSync(path), "link");
  };
  const folder = (path: string, parentDevice: number | null): void => {
    const { dev } = lstatSync(path);
    if (parentDevice !== null && dev !== parentDevice && kernelViews.has(statfsSync(path).type)) return;
    for (const found of readdirSync(path, { withFileTypes: true })) {
      const below = join(path, found.name);
      look(below, found.name, "name");
      attempt(walked, below, () => entry(below, found, dev));
    }
  };

  for (const root of roots) attempt(walked, root, () => entry(root, lstatSync(root), null), "always");
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const [path, device] = next;
    attempt(walked, path, () => folder(path, device));
  }
  walked.files = [...sizes].sort(([, a], [, b]) => b - a).map(([path]) => path);
  return walked;
}

/** A failure goes on record: gone files apart, since they are nobody's fault, unless they must be there. */
function attempt(walked: Walked, file: string, action: () => void, mustExist?: "always"): void {
  try {
    action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && mustExist === undefined) walked.vanished.push(file);
    else walked.problems.push({ file, reason: message });
  }
}
