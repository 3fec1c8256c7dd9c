/** The keys of an account: `USES KEY [COMMENT]` with the uses `auth`, `seal` or `auth,seal`. */

import { parseRecipient } from "#core/age/recipient.ts";
import { sshTag } from "#core/age/ssh-stanza.ts";
import { FormatError } from "#core/errors.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { quote } from "./mistakes.ts";
import type { Value } from "./value.ts";

/** Where each key of the fleet was first seen: key text -> path. */
export type KeyOwners = Map<string, string>;

/** Most keys of an account for each use. */
const MAX_KEYS = 10;

const LINE_EXPECTED =
  '"USES KEY" where USES is auth, seal or auth,seal and KEY is an OpenSSH public key or an age recipient';

interface Key {
  uses: readonly string[];
  /** `TYPE BASE64`, or the age recipient. */
  text: string;
  /** How age names the key in a file: a second key with the same tag could not open what the first can. */
  tag: string | null;
  isPostQuantum: boolean;
}

/** Reads the list of keys of one account: at least one for each use, at most 10. */
export function readKeys(list: Value, owners: KeyOwners): { auth: string[]; seal: string[] } {
  const items = list
    .items("a list of keys, at least one auth and one seal")
    .map((item) => ({ item, key: readKey(item) }));
  const keys: Key[] = [];
  const tags = new Map<string, string>();
  for (const { item, key } of items) {
    if (key === null) continue;
    keys.push(key);
    const owner = owners.get(key.text);
    if (owner !== undefined) item.refuse("a key that stands nowhere else", `the key of ${owner}`);
    else owners.set(key.text, item.path);
    const twin = key.tag === null ? undefined : tags.get(key.tag);
    if (twin !== undefined && owner === undefined) {
      item.refuse("seal keys with different age tags in one account", `the age tag of ${twin}`);
    }
    if (key.tag !== null && twin === undefined) tags.set(key.tag, item.path);
  }
  if (keys.length === items.length && keys.length > 0) checkTogether(list, keys);
  const textsFor = (use: string): string[] => keys.filter(({ uses }) => uses.includes(use)).map(({ text }) => text);
  return { auth: textsFor("auth"), seal: textsFor("seal") };
}

function checkTogether(list: Value, keys: readonly Key[]): void {
  for (const use of ["auth", "seal"]) {
    const count = keys.filter(({ uses }) => uses.includes(use)).length;
    if (count < 1 || count > MAX_KEYS) list.refuse(`1 to ${MAX_KEYS} ${use} keys`, `${count} ${use} keys`);
  }
  const sealing = keys.filter(({ uses }) => uses.includes("seal"));
  if (sealing.some((key) => key.isPostQuantum) && sealing.some((key) => !key.isPostQuantum)) {
    list.refuse(
      "seal keys of one kind: a classical one lets its breaker read what a post-quantum one protects",
      "post-quantum and classical seal keys",
    );
  }
}

function readKey(item: Value): Key | null {
  const line = item.text(/^(?:auth|seal|auth,seal) [^\s]+(?: |$)/, LINE_EXPECTED);
  if (line === "") return null;
  const [usesText = ""] = line.split(" ", 1);
  const uses = usesText.split(",");
  const rest = line.slice(usesText.length + 1);
  try {
    return rest.startsWith("age1") ? ageKey(uses, rest, item) : sshKey(uses, rest, item);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    item.refuse(`a usable key: ${error.message}`);
    return null;
  }
}

function ageKey(uses: readonly string[], rest: string, item: Value): Key | null {
  const [text = ""] = rest.split(" ", 1);
  if (uses.includes("auth")) {
    item.refuse('"seal" alone for an age recipient, which can\'t log in', quote(uses.join(",")));
    return null;
  }
  const recipient = parseRecipient(text);
  return { uses, text: recipient.text, tag: recipient.tag, isPostQuantum: recipient.postQuantum };
}

function sshKey(uses: readonly string[], rest: string, item: Value): Key | null {
  const { type, line, blob } = parsePublicKey(rest);
  const canSeal = type === "ssh-ed25519" || type === "ssh-rsa";
  if (uses.includes("seal") && !canSeal) {
    item.refuse("a seal key that is ssh-ed25519, ssh-rsa, age1… or age1pq1… (others can only log in)", quote(type));
    return null;
  }
  return { uses, text: line, tag: uses.includes("seal") ? sshTag(blob) : null, isPostQuantum: false };
}
