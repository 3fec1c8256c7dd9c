/** Where things are on the user's computer (XDG Base Directory Specification). */

import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { PolicyError } from "#core/errors.ts";

export interface Places {
  /** Name of the profile. */
  name: string;
  /** Profile, keys made by `shoal init`. */
  config: string;
  profile: string;
  /** Journal and lock: what this computer remembers. */
  state: string;
  journal: string;
  lock: string;
  /** What this computer knows of the account: see `account/memory.ts`. */
  account: string;
  /** What this computer has seen of the mailbox: see `mailbox/state.ts`. */
  mailbox: string;
  /** Mail that could not be handed over: see `send/outbox.ts`. */
  outbox: string;
}

export const DEFAULT_PROFILE = "default";

/** @throws PolicyError USAGE for a profile name that is no plain word */
export function placesOf(name: string, env: NodeJS.ProcessEnv = process.env): Places {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(name)) {
    throw new PolicyError("USAGE", `"${name}" is not a profile name, expected letters, digits, "-", "_" and "."`);
  }
  const config = join(base(env["XDG_CONFIG_HOME"], ".config"), "shoal", name);
  const state = join(base(env["XDG_STATE_HOME"], ".local/state"), "shoal", name);
  return {
    name,
    config,
    profile: join(config, "profile.json"),
    state,
    journal: join(state, "journal"),
    lock: join(state, "lock"),
    account: join(state, "account"),
    mailbox: join(state, "mailbox"),
    outbox: join(state, "outbox"),
  };
}

/** The specification says to ignore relative paths. */
function base(value: string | undefined, fallback: string): string {
  return value !== undefined && isAbsolute(value) ? value : join(homedir(), fallback);
}
