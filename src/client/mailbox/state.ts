/**
 * What this computer remembers of the mailbox, durably, in the folder `mailbox` of the profile's state: `memory` (what audits
 * saw), `number` (of the last deletion record), `alerts.json`. Whoever changes it holds the profile's lock.
 */

import { join } from "node:path";
import { FormatError, HostError } from "#core/errors.ts";
import { type AuditMemory, MAX_MEMORY_BYTES, parseMemory, printMemory } from "#core/mailbox/memory.ts";
import { exists, makeFolder, readBounded, writeDurably } from "#host/files.ts";
import type { Places } from "../places.ts";

/** Numbers of records beyond this are nobody's: whoever puts such a name there must not use up the rest. */
const MAX_NUMBER_SEEN = 1e12;
/** More files than any mailbox has wait only where somebody puts them; what is forgotten is opened no sooner for that. */
const MAX_WAITING = 100_000;

export class MailboxState {
  readonly #folder: string;

  constructor({ mailbox }: Pick<Places, "mailbox">) {
    this.#folder = mailbox;
  }

  get memoryPath(): string {
    return join(this.#folder, "memory");
  }

  get alertsPath(): string {
    return join(this.#folder, "alerts.json");
  }

  /**
   * Null on a device that has not seen the mailbox yet.
   * @throws HostError FILE when it is damaged, or of another account
   */
  async memory(account: string): Promise<AuditMemory | null> {
    const bytes = await this.#read("memory", MAX_MEMORY_BYTES);
    if (bytes === null) return null;
    try {
      const memory = parseMemory(bytes);
      if (memory.account === account) return memory;
      throw new FormatError("MEMORY", `it is of the account ${memory.account}, expected ${account}`);
    } catch (cause) {
      if (!(cause instanceof FormatError)) throw cause;
      throw new HostError("FILE", `what this computer remembers of the mailbox is damaged: ${cause.message}`, {
        cause,
        hint: `bring "${this.memoryPath}" back from a backup, or move it away: then this computer sees the mailbox as for the first time`,
      });
    }
  }

  async remember(memory: AuditMemory): Promise<void> {
    const waiting = longestWaiting(memory.waiting);
    await this.#write("memory", printMemory({ ...memory, waiting }));
  }

  /**
   * The number of the next deletion record. It is used up by this call, whatever becomes of the record.
   * @param atLeastAfter the highest that the server shows to be in use, which counts within reason
   */
  async nextNumber(atLeastAfter = 0): Promise<number> {
    const text = (await this.#read("number", 64))?.toString("latin1") ?? "0\n";
    const last = /^(0|[1-9][0-9]{0,14})\n$/.exec(text)?.[1];
    if (last === undefined) {
      throw new HostError("FILE", `"${join(this.#folder, "number")}" is damaged, expected a number`);
    }
    const next = Math.max(Number(last), atLeastAfter > MAX_NUMBER_SEEN ? 0 : atLeastAfter) + 1;
    await this.#write("number", `${next}\n`);
    return next;
  }

  async alertsText(maxBytes: number): Promise<string | null> {
    return (await this.#read("alerts.json", maxBytes))?.toString("utf8") ?? null;
  }

  async setAlertsText(text: string): Promise<void> {
    await this.#write("alerts.json", text);
  }

  async #read(name: string, maxBytes: number): Promise<Buffer | null> {
    const path = join(this.#folder, name);
    return (await exists(path)) ? await readBounded(path, maxBytes) : null;
  }

  async #write(name: string, content: string | Uint8Array): Promise<void> {
    await makeFolder(this.#folder, 0o700);
    await writeDurably(join(this.#folder, name), content);
  }
}

function longestWaiting(waiting: AuditMemory["waiting"]): AuditMemory["waiting"] {
  if (waiting.size <= MAX_WAITING) return waiting;
  return new Map([...waiting].sort(([, a], [, b]) => a - b).slice(0, MAX_WAITING));
}
