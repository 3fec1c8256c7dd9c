/** Typed reading of a tree that reports mistakes instead of stopping at the first. */

import { type Mistakes, quote } from "./mistakes.ts";
import { describe, joinPath, type MapEntry, type Tree } from "./tree.ts";

/**
 * A value of the file with its path. A reader that finds a mistake reports it and returns a stand-in: `NaN` for numbers,
 * "" for text. Every comparison with `NaN` is false, so rules over several values stay silent about a value that has
 * already been reported; `parseFleet` throws before a stand-in gets out.
 */
export class Value {
  readonly path: string;
  readonly #tree: Tree;
  readonly #mistakes: Mistakes;

  constructor(tree: Tree, path: string, mistakes: Mistakes) {
    this.#tree = tree;
    this.path = path;
    this.#mistakes = mistakes;
  }

  /** Offset in the text. */
  get at(): number {
    return this.#tree.at;
  }

  /** Was reported already, or is an optional field that is absent. */
  get isAbsent(): boolean {
    return this.#tree.kind === "refused";
  }

  /** True for a key with nothing behind it. */
  get isNothing(): boolean {
    return this.#tree.kind === "nothing";
  }

  /** Reports this value as wrong. @param found default: what stands there */
  refuse(expected: string, found = describe(this.#tree)): void {
    if (this.#tree.kind !== "refused") this.#mistakes.add(this.at, this.path, found, expected);
  }

  /** Reports that the mapping has no `key`. */
  lacks(key: string, expected: string): void {
    this.#mistakes.add(this.at, joinPath(this.path, key), "nothing", expected);
  }

  /**
   * The fields of a mapping with fixed keys. Other keys and missing required ones are mistakes; absent fields read as
   * stand-ins without a further mistake.
   */
  fields<Required extends string, Optional extends string = never>(
    required: readonly Required[],
    optional: readonly Optional[] = [],
  ): Record<Required | Optional, Value> {
    const known: readonly string[] = [...required, ...optional];
    if (this.#tree.kind !== "map") this.refuse(`a mapping with ${known.join(", ")}`);
    const entries: readonly MapEntry[] = this.#tree.kind === "map" ? this.#tree.entries : [];
    for (const { key, keyAt } of entries) {
      if (!known.includes(key)) {
        this.#mistakes.add(keyAt, joinPath(this.path, key), `the unknown key ${quote(key)}`, oneOf(known));
      }
    }
    const field = (key: string): Value => {
      const path = joinPath(this.path, key);
      const entry = entries.find((candidate) => candidate.key === key);
      if (entry !== undefined) return new Value(entry.value, path, this.#mistakes);
      if (this.#tree.kind === "map" && !(optional as readonly string[]).includes(key)) {
        this.lacks(key, "this key, which is required");
      }
      return new Value({ kind: "refused", at: this.at }, path, this.#mistakes);
    };
    return Object.fromEntries(known.map((key) => [key, field(key)])) as Record<Required | Optional, Value>;
  }

  /**
   * The entries of a mapping whose keys are names.
   * @param nameMistake says what is expected of a name that is not valid, else null
   * @param isCount whether there may be that many entries
   */
  named(
    expected: string,
    nameMistake: (name: string) => string | null,
    isCount: (count: number) => boolean = () => true,
  ): { name: string; value: Value }[] {
    if (this.#tree.kind !== "map" || !isCount(this.#tree.entries.length)) this.refuse(expected);
    if (this.#tree.kind !== "map") return [];
    return this.#tree.entries.map(({ key: name, keyAt, value }) => {
      const path = joinPath(this.path, name);
      const wrong = nameMistake(name);
      if (wrong !== null) this.#mistakes.add(keyAt, path, quote(name), wrong);
      return { name, value: new Value(value, path, this.#mistakes) };
    });
  }

  /** Text that `parse` accepts; `parse` gives null for what is not `expected`. */
  parsed<T>(parse: (text: string) => T | null, expected: string): T | undefined {
    const value = this.#tree.kind === "text" ? parse(this.#tree.text) : null;
    if (value !== null) return value;
    this.refuse(expected);
    return undefined;
  }

  /** Text that matches `pattern` as a whole. */
  text(pattern: RegExp, expected: string): string {
    return this.parsed((text) => (pattern.test(text) ? text : null), expected) ?? "";
  }

  /** A whole number, written in decimal digits without quotes, sign or leading zero. */
  wholeNumber(least: number, most: number, unit = ""): number {
    const text = this.#tree.kind === "word" ? this.#tree.text : "";
    const number = /^(?:0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least && number <= most) return number;
    const range = least === most ? `${least}` : `a whole number from ${least} to ${most}`;
    const expected = `${range}${unit === "" ? "" : ` (${unit})`}`;
    this.refuse(expected, this.#tree.kind === "word" ? text : undefined);
    return Number.NaN;
  }
}

/** `one of a, b`, or `c` alone, or none. */
export function oneOf(names: readonly string[]): string {
  if (names.length === 0) return "no key here";
  return names.length === 1 ? `${names[0]}` : `one of ${names.join(", ")}`;
}
