/**
 * Writes the vectors beside this file, the same bytes each time; `script.ts` says how to read them. In `reject`, the device
 * `old` has seen the mailbox before the attack, and `new` has not.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { printChain } from "#core/account/chain.ts";
import { mailName } from "#core/mailbox/entry.ts";
import type { AuditMemory } from "#core/mailbox/memory.ts";
import { lineOf } from "#test/owner.ts";
import { type Attack, attacks } from "#test/mailbox/attacks.ts";
import { copyOf, type Folder } from "#test/mailbox/fetch.ts";
import { formatAttacks } from "#test/mailbox/format-attacks.ts";
import { ledgerAttacks } from "#test/mailbox/ledger-attacks.ts";
import type { HonestWorld } from "#test/mailbox/honest-world.ts";
import { sceneOf, wordsOf } from "#test/mailbox/scene.ts";
import { honestCases } from "./honest.ts";
import { ruleCases } from "./rules.ts";
import { auditFiles, type Files, ScriptWriter } from "./script.ts";

const SEED = 7;

export function filesOf(folder: Folder): Files {
  const { head, signers, entries } = folder;
  const files = new Map([["chain", printChain(folder.versions)]]);
  for (const [name, bytes] of Object.entries({ signers, head, entries })) if (bytes !== null) files.set(name, bytes);
  for (const [name, bytes] of sortedByName(folder.del)) files.set(`del/${name}`, bytes);
  for (const [name, bytes] of sortedByName(folder.mail)) files.set(`mail/${name}`, bytes);
  return files;
}

function sortedByName(files: ReadonlyMap<string, Buffer>): [string, Buffer][] {
  return [...files].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Writes looks with what they find. */
export class Recorder {
  readonly #writer = new ScriptWriter();
  readonly #world: HonestWorld;
  readonly #memories = new Map<string, AuditMemory>();

  constructor(world: HonestWorld) {
    this.#world = world;
    this.#writer.root(lineOf(world.root));
  }

  /** @returns the findings, which are to be held against what is expected */
  look(device: string, folder: Folder, time = this.#world.time): string[] {
    const files = filesOf(folder);
    const result = auditFiles(files, this.#world.roots, this.#memories.get(device) ?? null, time);
    this.#memories.set(device, result.memory);
    this.#writer.files(files);
    this.#writer.look(device, time, wordsOf(result), result.mayOpen.map(mailName));
    return wordsOf(result);
  }

  end(): Buffer {
    return this.#writer.end();
  }
}

function check(name: string, found: readonly string[], expected: readonly string[]): void {
  if (String(found) !== String([...expected].sort())) {
    throw new Error(`${name}: found ${String(found)}, expected ${String(expected)}`);
  }
}

function attacked(attack: Attack): Buffer {
  const scene = sceneOf(SEED, 0);
  const { world } = scene;
  const recorder = new Recorder(world);
  check(attack.name, recorder.look("old", world.folder), []);
  for (let round = attack.after === undefined ? 1 : 0; round < 2; round++) {
    const folder = copyOf(world.folder);
    const { memory, fresh } = attack.apply(folder, scene);
    const found = { memory: recorder.look("old", folder), fresh: recorder.look("new", folder) };
    if (round === 0) world.advance(attack.after ?? 0);
    else {
      check(attack.name, found.memory, memory);
      check(attack.name, found.fresh, fresh);
    }
  }
  return recorder.end();
}

/** `accept/NAME` or `reject/NAME` -> content. */
export function vectors(): Map<string, Buffer> {
  const made = new Map<string, Buffer>();
  for (const [name, make] of honestCases) {
    made.set(
      `accept/${name}`,
      make((world) => new Recorder(world)),
    );
  }
  for (const attack of [...attacks, ...formatAttacks, ...ledgerAttacks])
    made.set(`reject/${attack.name}`, attacked(attack));
  for (const [path, make] of ruleCases) {
    made.set(
      path,
      make((world) => new Recorder(world)),
    );
  }
  return made;
}

if (import.meta.main) {
  for (const folder of ["accept", "reject"]) {
    rmSync(join(import.meta.dirname, folder), { recursive: true, force: true });
    mkdirSync(join(import.meta.dirname, folder));
  }
  for (const [path, content] of vectors()) writeFileSync(join(import.meta.dirname, path), content);
}
