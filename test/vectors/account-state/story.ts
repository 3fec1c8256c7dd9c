/** An account's versions for a vector, each made from the one before it, honest or not. */

import { createHash } from "node:crypto";
import type { Key } from "./keys.ts";

export const DOMAIN = "example.org";
/** Acceptance of version 1, Unix seconds. */
export const START = 1_800_000_000;
export const HOUR = 3600;

const HEAD = ["domain", "account", "version", "prev", "time"] as const;

export interface Version {
  /** Acceptance in seconds behind version 1; as before if not given. */
  at?: number;
  master?: readonly (Key | string)[];
  recovery?: readonly (Key | string)[];
  /** `USES KEY` */
  devices?: readonly string[];
  /** Values of the first lines, in place of the right ones. */
  head?: Partial<Record<(typeof HEAD)[number], string>>;
  /** Who signs. */
  by: readonly Key[];
  namespace?: string;
  hash?: "sha256" | "sha512";
  /** Changes the body before it is signed. */
  edit?: (body: string) => string;
  /** Changes the signatures, which are joined then. */
  signatures?: (signatures: string[], body: Buffer) => string[];
  /** Changes the whole after that. */
  change?: (signed: string) => string;
}

type Lists = Required<Pick<Version, "master" | "recovery" | "devices">>;

const sha256 = (text: string): Buffer => createHash("sha256").update(Buffer.from(text, "latin1")).digest();
const lineOf = (key: Key | string): string => (typeof key === "string" ? key : key.line);

/** Adds versions one after the other. Nothing is checked here: the vectors' own expectations are. */
export class Story {
  readonly #parts: string[] = [];
  readonly #domain: string;
  #lists: Lists = { master: [], recovery: [], devices: [] };
  #at = 0;
  #version = 0;
  #id = "-";
  #prev = "-";

  constructor(domain = DOMAIN) {
    this.#domain = domain;
  }

  /** The 22 characters that version 1 gave. */
  get id(): string {
    return this.#id;
  }

  /** Base64 SHA-256 of the latest body. */
  get prev(): string {
    return this.#prev;
  }

  get version(): number {
    return this.#version;
  }

  add(version: Version): this {
    const { by, namespace = `account-state.v1@${this.#domain}`, edit = (body) => body } = version;
    this.#at = version.at ?? this.#at;
    this.#lists = {
      master: version.master ?? this.#lists.master,
      recovery: version.recovery ?? this.#lists.recovery,
      devices: version.devices ?? this.#lists.devices,
    };
    const text = edit(this.#body(version.head ?? {}));
    const body = Buffer.from(text, "latin1");
    const how = version.hash === undefined ? {} : { hash: version.hash };
    const made = by.map((key) => key.sign(namespace, body, how));
    const signatures = version.signatures?.(made, body) ?? made;
    const signed = text + signatures.join("");
    this.#parts.push(`accepted ${START + this.#at}\n${version.change?.(signed) ?? signed}`);
    this.#prev = sha256(text).toString("base64");
    if (this.#version === 0) this.#id = sha256(text).subarray(0, 16).toString("base64url");
    this.#version++;
    return this;
  }

  #body(head: NonNullable<Version["head"]>): string {
    const right = {
      domain: this.#domain,
      account: this.#id,
      version: String(this.#version + 1),
      prev: this.#prev,
      time: String(START + this.#at),
    };
    const { master, recovery, devices } = this.#lists;
    const lines = [
      "shoal-account/v1",
      ...HEAD.map((word) => `${word} ${head[word] ?? right[word]}`),
      ...master.map((key) => `master ${lineOf(key)}`).toSorted(),
      ...recovery.map((key) => `recovery ${lineOf(key)}`).toSorted(),
      ...devices.map((device) => `device ${device}`).toSorted(),
    ];
    return `${lines.join("\n")}\n`;
  }

  /** The vector: what is expected of the version added last. */
  vector(expected: string): string {
    return `expect ${expected}\ndomain ${this.#domain}\n${this.#parts.join("")}`;
  }
}
