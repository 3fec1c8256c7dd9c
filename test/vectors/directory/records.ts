/** A directory's records for a vector, each made from the one before it, honest or not. */

import { createHash } from "node:crypto";
import { type Key, named } from "../account-state/keys.ts";

export const DOMAIN = "example.org";
/** Acceptance of version 1, Unix seconds. */
export const START = 1_800_000_000;
export const OPERATOR = named("operator");
export const SECOND = named("second operator");

const HEAD = ["domain", "version", "prev", "time"] as const;

export interface Record {
  /** Acceptance in seconds behind version 1; as before if not given. */
  at?: number;
  operators?: readonly (Key | string)[];
  /** Lines of changes; none if not given. */
  changes?: readonly string[];
  /** Values of the first lines, in place of the right ones. */
  head?: Partial<{ [word in (typeof HEAD)[number]]: string }>;
  by?: readonly Key[];
  namespace?: string;
  /** Changes the body before it is signed. */
  edit?: (body: string) => string;
  /** Changes the signatures, which are joined then. */
  signatures?: (signatures: string[], body: Buffer) => string[];
  /** Changes the whole after that. */
  change?: (signed: string) => string;
}

const sha256 = (text: string): Buffer => createHash("sha256").update(Buffer.from(text, "latin1")).digest();

/** An account id from a name. */
export function accountId(name: string): string {
  return sha256(`account ${name}`).subarray(0, 16).toString("base64url");
}

/** `add NAME ACCOUNT QUOTA FETCH` */
export function addition(name: string, { account = name, quota = "1000000", fetch = "1" } = {}): string {
  return `add ${name} ${accountId(account)} ${quota} ${fetch}`;
}

/** Adds records one after the other; nothing is checked here. */
export class Records {
  readonly #parts: string[] = [];
  readonly #pinned: string | undefined;
  #operators: readonly (Key | string)[] = [OPERATOR];
  #at = 0;
  #version = 0;
  #id = "-";
  #prev = "-";

  /** @param pinned the id that machines expect, if it is not that of the first record */
  constructor(pinned?: string) {
    this.#pinned = pinned;
  }

  get id(): string {
    return this.#id;
  }

  get prev(): string {
    return this.#prev;
  }

  add(record: Record): this {
    const { by = [OPERATOR], namespace = `account-directory.v1@${DOMAIN}`, edit = (body) => body } = record;
    this.#at = record.at ?? this.#at;
    this.#operators = record.operators ?? this.#operators;
    const right = {
      domain: DOMAIN,
      version: String(this.#version + 1),
      prev: this.#prev,
      time: String(START + this.#at),
    };
    const lines = [
      "shoal-directory/v1",
      ...HEAD.map((word) => `${word} ${record.head?.[word] ?? right[word]}`),
      ...this.#operators.map((key) => `operator ${typeof key === "string" ? key : key.line}`).toSorted(),
      ...(record.changes ?? []).toSorted(),
    ];
    const text = edit(`${lines.join("\n")}\n`);
    const body = Buffer.from(text, "latin1");
    const made = by.map((key) => key.sign(namespace, body));
    const signed = text + (record.signatures?.(made, body) ?? made).join("");
    this.#parts.push(`accepted ${START + this.#at}\n${record.change?.(signed) ?? signed}`);
    this.#prev = sha256(text).toString("base64");
    if (this.#version === 0) this.#id = sha256(text).subarray(0, 16).toString("base64url");
    this.#version++;
    return this;
  }

  /** The vector: what is expected of the record added last. */
  vector(expected: string): string {
    const directory = this.#pinned ?? this.#id;
    return `expect ${expected}\ndomain ${DOMAIN}\ndirectory ${directory}\n${this.#parts.join("")}`;
  }
}

/** An empty directory with one operator. */
export function empty(): Records {
  return new Records().add({});
}

/** The accounts alice, bob and carol; bob is suspended, carol removed. */
export function three(): Records {
  return empty()
    .add({ at: 60, changes: ["alice", "bob", "carol"].map((name) => addition(name)) })
    .add({ at: 120, changes: ["remove carol", "suspend bob"] });
}
