/** Files that others write and that we read again when they change. */

import { stat } from "node:fs/promises";
import { readBounded } from "#host/files.ts";

const maxFileBytes = 256 * 1024 * 1024;

/** The last good reading of one file; null while it is missing, unreadable or malformed. */
export class KnownFile<T> {
  readonly #path: string;
  readonly #parse: (text: string) => T;
  readonly #log: (text: string) => void;
  #value: T | null = null;
  #version = "";
  #reading: Promise<void> | undefined;

  constructor(path: string, parse: (text: string) => T, log: (text: string) => void) {
    this.#path = path;
    this.#parse = parse;
    this.#log = log;
  }

  get value(): T | null {
    return this.#value;
  }

  /** Reads the file if it is another than last time. Never throws: whatever is wrong, the value is null. */
  async refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #read(): Promise<void> {
    let version = "";
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(this.#path);
      version = `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
      if (version === this.#version) return;
      this.#value = this.#parse((await readBounded(this.#path, maxFileBytes)).toString("utf8"));
    } catch (error) {
      this.#value = null;
      // Told once for each state of the file.
      const complaint = `"${this.#path}": ${error instanceof Error ? error.message : String(error)}`;
      if (version === "") version = complaint;
      if (version !== this.#version) this.#log(complaint);
    }
    this.#version = version;
  }
}
