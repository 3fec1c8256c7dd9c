/** All mistakes of a fleet definition, gathered so that one run names every one of them. */

import { FormatError } from "#core/errors.ts";

export interface Mistake {
  /** Line in the file, from 1. */
  line: number;
  /** Column in that line, from 1. */
  column: number;
  /** Key path, as in `accounts.alice.keys[1]`; empty when the whole file is meant. */
  path: string;
  /** What stands there: text in quotes, or a kind ("a list", "nothing"). */
  found: string;
  expected: string;
}

/** The definition is refused. The message has one line per mistake: `FILE:LINE: PATH: found …, expected …`. */
export class DefinitionError extends FormatError {
  readonly mistakes: readonly Mistake[];

  constructor(fileName: string, mistakes: readonly Mistake[]) {
    super("CONFIG", mistakes.map((mistake) => printMistake(fileName, mistake)).join("\n"));
    this.mistakes = mistakes;
  }
}

function printMistake(fileName: string, { line, path, found, expected }: Mistake): string {
  return `${fileName}:${line}: ${path === "" ? "" : `${path}: `}found ${found}, expected ${expected}`;
}

const MAX_QUOTED = 60;

/** Text as a mistake shows it: in double quotes, unprintable characters escaped, long text cut in the middle. */
export function quote(text: string): string {
  const short = text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED - 20)}…${text.slice(text.length - 15)}`;
  // JSON leaves DEL, C1 controls, direction marks and line separators as they are; a terminal would act on them.
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Collects mistakes; positions are offsets in the text until {@link throwIfAny} turns them into lines. */
export class Mistakes {
  readonly #list: { at: number; path: string; found: string; expected: string }[] = [];

  /** Adds one. @param at offset in the text */
  add(at: number, path: string, found: string, expected: string): void {
    this.#list.push({ at, path, found, expected });
  }

  /** @throws DefinitionError with every mistake in the order of the file. */
  throwIfAny(fileName: string, text: string): void {
    if (this.#list.length === 0) return;
    const lines = new Lines(text);
    const sorted = [...this.#list].sort((a, b) => a.at - b.at);
    throw new DefinitionError(
      fileName,
      sorted.map(({ at, path, found, expected }) => ({ ...lines.position(at), path, found, expected })),
    );
  }
}

/** Offsets to lines. */
export class Lines {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  /** Line and column of an offset, both from 1. */
  position(at: number): { line: number; column: number } {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - (this.#starts[low] ?? 0) + 1 };
  }
}
