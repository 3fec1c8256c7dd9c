/**
 * The vectors as scripts: what a folder on a server holds, and what devices find when they look. Latin-1, line by line:
 *
 *     root TYPE KEY             a key of the operator's root that all devices trust
 *     set NAME LENGTH           so many bytes follow, and an LF: the file chain, signers, head, entries or del/NAME
 *     mail NAME BASE64          a file in mail/
 *     drop NAME                 the file is gone; mail/NAME for one in mail/
 *     look DEVICE TIME          the device audits all of it at that time, once more if it has to, and remembers what it should
 *     expect CODE [SUBJECT]     it found this; the subject is a number or a file where it is about one; nothing else
 *     opens NAME                it may open this file in mail/, and no other
 */

import { type Accepted, parseChain, verifySteps } from "#core/account/chain.ts";
import { parseProposal } from "#core/account/step.ts";
import { type AuditResult, audit } from "#core/mailbox/audit.ts";
import type { AuditMemory } from "#core/mailbox/memory.ts";
import { sha256 } from "#test/mailbox/fetch.ts";

/** A folder by the names of its files. */
export type Files = ReadonlyMap<string, Buffer>;

export interface LookedAt {
  readonly device: string;
  readonly time: number;
  /** As the script says it. */
  readonly expected: { readonly findings: string[]; readonly opens: string[] };
  readonly files: Files;
  readonly roots: ReadonlySet<string>;
}

export function* parseScript(script: Buffer): Generator<LookedAt> {
  const roots = new Set<string>();
  const files = new Map<string, Buffer>();
  let look: LookedAt | null = null;
  for (let at = 0; at < script.length; ) {
    const end = script.indexOf("\n", at);
    const [word = "", ...rest] = script.toString("latin1", at, end).split(" ");
    const [name = "", value = ""] = rest;
    at = end + 1;
    if (word === "expect") look?.expected.findings.push(rest.join(" "));
    else if (word === "opens") look?.expected.opens.push(name);
    else if (look !== null) {
      yield look;
      look = null;
    }
    if (word === "root") roots.add(rest.join(" "));
    else if (word === "mail") files.set(`mail/${name}`, Buffer.from(value, "base64"));
    else if (word === "drop") files.delete(name);
    else if (word === "set") {
      files.set(name, script.subarray(at, at + Number(value)));
      at += Number(value) + 1;
    } else if (word === "look") {
      const expected = { findings: [], opens: [] };
      look = { device: name, time: Number(value), expected, files: new Map(files), roots: new Set(roots) };
    } else if (word !== "expect" && word !== "opens") throw new RangeError(`unknown line "${word}"`);
  }
  if (look !== null) yield look;
}

/** All that is in a folder of that name. */
function filesIn(files: Files, folder: string): { name: string; bytes: Buffer }[] {
  return [...files]
    .filter(([name]) => name.startsWith(`${folder}/`))
    .map(([name, bytes]) => ({ name: name.slice(folder.length + 1), bytes }));
}

/** Audits a folder as a device does: all files hashed, and a second time if it is asked to. */
export function auditFiles(
  files: Files,
  roots: ReadonlySet<string>,
  memory: AuditMemory | null,
  now: number,
): AuditResult {
  const versions: Accepted[] = parseChain(files.get("chain") ?? Buffer.alloc(0));
  const domain = versions[0] === undefined ? "" : parseProposal(versions[0].signed).state.domain;
  const standing = verifySteps(versions, domain, null);
  if (standing === null) throw new RangeError("no account");
  const devices = versions.flatMap(({ signed }) => parseProposal(signed).state.devices);
  const mail = filesIn(files, "mail");
  const input = {
    head: files.get("head") ?? null,
    signers: files.get("signers") ?? null,
    entries: files.get("entries") ?? null,
    mail: mail.map(({ name, bytes }) => ({ name, size: bytes.length })),
    del: filesIn(files, "del"),
    digests: new Map(mail.map(({ name, bytes }) => [name, sha256(bytes)])),
    formerKeys: new Set(devices.filter(({ auth }) => auth).map(({ key }) => key)),
    ...{ standing, roots, memory, now },
  };
  const first = audit(input);
  return first.readAgain ? audit({ ...input, before: first }) : first;
}

/** Writes a script, each file once until it changes. */
export class ScriptWriter {
  readonly #parts: Buffer[] = [];
  readonly #files = new Map<string, Buffer>();

  root(key: string): void {
    this.#line(`root ${key}`);
  }

  files(files: Files): void {
    for (const name of this.#files.keys()) {
      if (files.has(name)) continue;
      this.#line(`drop ${name}`);
      this.#files.delete(name);
    }
    for (const [name, bytes] of files) {
      if (this.#files.get(name)?.equals(bytes) === true) continue;
      this.#files.set(name, bytes);
      if (name.startsWith("mail/")) this.#line(`mail ${name.slice("mail/".length)} ${bytes.toString("base64")}`);
      else this.#parts.push(Buffer.from(`set ${name} ${bytes.length}\n`), bytes, Buffer.from("\n"));
    }
  }

  look(device: string, time: number, findings: readonly string[], opens: readonly string[]): void {
    this.#line(`look ${device} ${time}`);
    for (const finding of [...findings].sort()) this.#line(`expect ${finding}`);
    for (const name of [...opens].sort()) this.#line(`opens ${name}`);
  }

  end(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #line(text: string): void {
    this.#parts.push(Buffer.from(`${text}\n`, "latin1"));
  }
}
