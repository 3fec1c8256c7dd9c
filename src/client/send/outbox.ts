/**
 * Mail that could not be handed over, durably: `~/.local/state/shoal/PROFILE/outbox/NUMBER`. Each file is a first line
 * that names the format, a line of JSON ({@link Entry} without its number), and the message, byte for byte.
 */

import { link, open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { decodeEncodedWords } from "#core/mail/encoded-words.ts";
import { fieldOf, readHeader } from "#core/mail/message-fields.ts";
import { makeFolder, syncFolder, writeDurably } from "#host/files.ts";
import { type Lock, takeLock } from "#host/lock.ts";
import type { Errand } from "./hand-over.ts";

const MAGIC = "shoal-outbox/v1";
/** More than a hundred addresses and what was said about them. */
const MAX_HEAD_BYTES = 131_072;

const entrySchema = v.strictObject({
  /**
   * `waiting` is sent by itself, and so is `asks`, which was not protected enough; `sending` turns into `unknown` if it is
   * found when nobody is at it. `unknown` may have been sent, `refused` will never be accepted: a person has to decide.
   */
  state: v.picklist(["waiting", "asks", "sending", "unknown", "refused"]),
  verb: v.picklist(["send", "send-anyway"]),
  envelopeFrom: v.nullable(v.string()),
  recipients: v.nullable(v.array(v.string())),
  /** Unix seconds. */
  added: v.number(),
  tries: v.number(),
  /** What came of the last try. */
  said: v.string(),
  /** For the list. */
  to: v.string(),
  subject: v.string(),
});

type Stored = v.InferOutput<typeof entrySchema>;

export type Entry = Readonly<Stored> & { readonly number: number };

export class Outbox {
  readonly #folder: string;

  /** @param folder made when something is added */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Keeps a message; when this resolves it survives a power loss.
   * @param now Unix seconds
   */
  async add(errand: Errand, message: Buffer, state: "waiting" | "unknown", said: string, now: number): Promise<Entry> {
    await makeFolder(this.#folder, 0o700);
    const { fields } = readHeader(message.subarray(0, MAX_HEAD_BYTES));
    const text = (name: string): string => decodeEncodedWords(fieldOf(fields, name) ?? "").slice(0, 200);
    const { verb, envelopeFrom, recipients } = errand;
    const entry: Stored = {
      state,
      verb,
      envelopeFrom,
      recipients: recipients === null ? null : [...recipients],
      added: now,
      tries: 1,
      said,
      to: recipients?.join(", ").slice(0, 200) ?? text("to"),
      subject: text("subject"),
    };
    const content = printFile(entry, message);
    const fresh = join(this.#folder, `.new.${process.pid}`);
    await writeDurably(fresh, content);
    try {
      for (let number = await this.#nextNumber(); ; number++) {
        // A number is given once, so that "drop 3" never means another one's 3.
        await writeDurably(join(this.#folder, ".last"), `${number}\n`);
        try {
          await link(fresh, join(this.#folder, String(number)));
          return { ...entry, number };
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        }
      }
    } finally {
      await unlink(fresh);
      await syncFolder(this.#folder);
    }
  }

  /** Everything that is kept, in the order of its numbers. */
  async list(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const number of await this.#numbers()) {
      const head = await this.#head(number);
      if (head !== null) entries.push({ ...parseHead(head, this.#path(number)).entry, number });
    }
    return entries;
  }

  /** @throws PolicyError USAGE when there is none of that number */
  async read(number: number): Promise<{ entry: Entry; message: Buffer }> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#path(number));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
      throw new PolicyError("USAGE", `there is no message number ${number} in the outbox`, {
        hint: '"shoal outbox" shows what is there',
      });
    }
    const { entry, length } = parseHead(bytes, this.#path(number));
    return { entry: { ...entry, number }, message: bytes.subarray(length) };
  }

  /** Replaces what is noted beside a message. */
  async note({ number, ...entry }: Entry, message: Buffer): Promise<void> {
    await writeDurably(this.#path(number), printFile(entry, message));
  }

  async remove(number: number): Promise<void> {
    await unlink(this.#path(number));
    await syncFolder(this.#folder);
  }

  /**
   * One process at a time sends.
   * @throws HostError BUSY
   */
  async lock(): Promise<Lock> {
    await makeFolder(this.#folder, 0o700);
    return takeLock(join(this.#folder, ".lock"), "sending what is in the outbox");
  }

  async #nextNumber(): Promise<number> {
    const last = await readFile(join(this.#folder, ".last"), "latin1").catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOENT") throw cause;
      return "0";
    });
    const noted = /^([0-9]{1,9})\n$/.exec(last)?.[1] ?? "0";
    return Math.max(Number(noted), ...(await this.#numbers())) + 1;
  }

  async #numbers(): Promise<number[]> {
    let names: string[];
    try {
      names = await readdir(this.#folder);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw new HostError("FILE", `can't read "${this.#folder}": ${(cause as Error).message}`, { cause });
    }
    return names
      .filter((name) => /^[1-9][0-9]{0,8}$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.#folder, String(number));
  }

  /** Null when it is gone meanwhile. */
  async #head(number: number): Promise<Buffer | null> {
    try {
      const file = await open(this.#path(number), "r");
      try {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEAD_BYTES), 0, MAX_HEAD_BYTES, 0);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw cause;
    }
  }
}

function printFile(entry: Stored, message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${MAGIC}\n${JSON.stringify(entry)}\n`), message]);
}

function parseHead(bytes: Buffer, path: string): { entry: Stored; length: number } {
  const start = `${MAGIC}\n`.length;
  const end = bytes.indexOf("\n", start);
  const damaged = (cause?: unknown): FormatError =>
    new FormatError("STORE", `"${path}" is not a message of the outbox`, {
      cause,
      hint: "look into it with an editor, and move it elsewhere",
    });
  if (bytes.toString("latin1", 0, start) !== `${MAGIC}\n` || end < 0) throw damaged();
  try {
    return { entry: v.parse(entrySchema, JSON.parse(bytes.toString("utf8", start, end))), length: end + 1 };
  } catch (cause) {
    throw damaged(cause);
  }
}
