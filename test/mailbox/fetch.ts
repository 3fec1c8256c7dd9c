/** The folder of one account as a `fetch` machine holds it, in memory: what attackers with root there may change. */

import { createHash } from "node:crypto";
import { type Accepted, verifySteps } from "#core/account/chain.ts";
import type { Standing } from "#core/account/step.ts";
import type { Shown } from "#core/mailbox/audit.ts";

export const DOMAIN = "example.org";

export interface Folder {
  mail: Map<string, Buffer>;
  /** When a file was deposited, by this machine's clock: what its retention goes by. */
  deposited: Map<string, number>;
  head: Buffer | null;
  signers: Buffer | null;
  entries: Buffer | null;
  del: Map<string, Buffer>;
  /** What `account/chain` holds. */
  versions: readonly Accepted[];
}

export function copyOf(folder: Folder): Folder {
  return {
    ...folder,
    mail: new Map(folder.mail),
    deposited: new Map(folder.deposited),
    del: new Map(folder.del),
  };
}

const standings = new WeakMap<readonly Accepted[], Standing>();

/** The account after these versions, which hold. */
export function standingOf(versions: readonly Accepted[]): Standing {
  const known = standings.get(versions);
  if (known !== undefined) return known;
  const standing = verifySteps(versions, DOMAIN, null);
  if (standing === null) throw new RangeError("no versions");
  standings.set(versions, standing);
  return standing;
}

export const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** All of it, read at one moment. */
export function shownBy(folder: Folder): Shown & { standing: Standing; digests: Map<string, string> } {
  return {
    head: folder.head,
    signers: folder.signers,
    entries: folder.entries,
    standing: standingOf(folder.versions),
    mail: [...folder.mail].map(([name, bytes]) => ({ name, size: bytes.length })),
    del: [...folder.del].map(([name, bytes]) => ({ name, bytes })),
    digests: new Map([...folder.mail].map(([name, bytes]) => [name, sha256(bytes)])),
  };
}
