/** `shoal watch` */

import type { OptionValues, Verb } from "#cli/command.ts";
import { complain, print, say } from "#cli/terminal.ts";
import { visibleJson } from "#cli/visible.ts";
import { HostError, PolicyError } from "#core/errors.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { SftpConnection } from "#host/sftp.ts";
import { explainRefusedLogin } from "../account/check-at-sync.ts";
import { type KeyFile, loadKeys } from "../identities.ts";
import { loginOptions } from "../login.ts";
import { mailboxPaths } from "../mailbox/paths.ts";
import { DEFAULT_PROFILE, type Places } from "../places.ts";
import { loadProfile, type Profile } from "../profile.ts";
import { syncOnce } from "../sync.ts";
import { runCommand } from "./command.ts";
import { Looker } from "./look.ts";
import { Slept, type WatchClock, type WatchEvent, Watcher } from "./watcher.ts";

const DEFAULT_SECONDS = 5;
const MAX_SECONDS = 3600;

export const watchVerb: Verb = {
  help: `usage: shoal watch [--profile NAME] [--keep] [--every SECONDS]
                   [--exec COMMAND] [--json]

Fetches mail as it comes, within seconds, until it is ended. It keeps one
connection and asks for a few bytes every few seconds; when there is something
new it does what "shoal sync" does. It comes back by itself when the network
was away, the server was rebuilt or this computer slept.

  --profile NAME    profile to use, default "default"
  --keep            leave everything on the server
  --every SECONDS   how often to look, 1 to 3600, default ${DEFAULT_SECONDS}
  --exec COMMAND    run this with /bin/sh when mail has come; the environment
                    variable SHOAL_NEW is the number of new messages
  --json            print one JSON object a line: "connected", "lost", "sync"

A passphrase is asked for once, at the start. Exit status: 0 when it is ended by
a signal, 64 and 78 for a mistake in its options or its profile.

Example:
  shoal watch --exec 'notify-send "mail: $SHOAL_NEW new"'
`,
  options: {
    profile: { type: "string" },
    keep: { type: "boolean" },
    every: { type: "string" },
    exec: { type: "string" },
    json: { type: "boolean" },
  },
  async run(operands, options) {
    if (operands[0] !== undefined)
      throw new PolicyError("USAGE", `"${operands[0]}" is too much, expected options only`);
    const everySeconds = secondsOf(options["every"]);
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const keys = await loadKeys(profile.identities);
    const command = options["exec"];
    const watch = new Watch(profile, places, keys, {
      keep: options["keep"] === true,
      command: typeof command === "string" ? command : null,
      isJson: options["json"] === true,
    });
    return await watch.run(everySeconds);
  },
};

function secondsOf(option: OptionValues[string]): number {
  if (typeof option !== "string") return DEFAULT_SECONDS;
  const seconds = Number(option);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_SECONDS) return seconds;
  throw new PolicyError("USAGE", `--every is "${option}", expected 1 to ${MAX_SECONDS} seconds`);
}

interface WatchOptions {
  readonly keep: boolean;
  readonly command: string | null;
  readonly isJson: boolean;
}

class Watch {
  readonly #profile: Profile;
  readonly #places: Places;
  readonly #keys: readonly KeyFile[];
  readonly #options: WatchOptions;
  readonly #clock = new Clock();
  /** What was said of the connection last: the same is not said again and again. */
  #said = "";

  constructor(profile: Profile, places: Places, keys: readonly KeyFile[], options: WatchOptions) {
    this.#profile = profile;
    this.#places = places;
    this.#keys = keys;
    this.#options = options;
  }

  async run(everySeconds: number): Promise<number> {
    const watcher = new Watcher({
      connect: () => this.#connect(),
      looker: new Looker(mailboxPaths(this.#profile)),
      round: () => this.#round(),
      tell: (event) => this.#tell(event),
      everySeconds,
      clock: this.#clock,
    });
    const end = (): void => {
      watcher.end();
      this.#clock.wake();
    };
    process.once("SIGINT", end);
    process.once("SIGTERM", end);
    await watcher.run();
    return EXIT.ok;
  }

  async #connect(): Promise<SftpConnection> {
    const target = await loginOptions(this.#profile, this.#places, this.#keys);
    return await SftpConnection.open({ ...target, connectTimeoutSeconds: 20 });
  }

  async #round(): Promise<boolean> {
    const { keep, command, isJson } = this.#options;
    let stored = 0;
    let status: number;
    try {
      status = await syncOnce(this.#profile, this.#places, {
        keep,
        keys: this.#keys,
        tell: (told) => {
          stored = told.stored;
          if (isJson) print(`${visibleJson({ event: "sync", ...told })}\n`);
        },
      });
    } catch (error) {
      complain("shoal", error);
      status = exitStatusOf(error);
    }
    if (stored > 0 && command !== null) {
      await runCommand(command, { SHOAL_NEW: String(stored), SHOAL_PROFILE: this.#places.name });
    }
    return status !== EXIT.temporary;
  }

  #tell(event: WatchEvent): void {
    if (event.kind === "connected") {
      if (this.#options.isJson) print(`${visibleJson({ event: "connected", host: this.#profile.host })}\n`);
      else this.#sayOnce(`watching "${this.#profile.host}"`);
      return;
    }
    const { error, againInSeconds } = event;
    const message = error instanceof Error ? error.message : String(error);
    if (this.#options.isJson) print(`${visibleJson({ event: "lost", message, againInSeconds })}\n`);
    else if (error instanceof Slept) this.#sayOnce(message);
    else void this.#sayLost(error);
  }

  async #sayLost(error: unknown): Promise<void> {
    const explained =
      error instanceof HostError ? await explainRefusedLogin(error, this.#profile, this.#places) : error;
    const message = explained instanceof Error ? explained.message : String(explained);
    if (message === this.#said) return;
    this.#said = message;
    complain("shoal", explained);
    say("shoal", "it goes on by itself; control-C ends it");
  }

  #sayOnce(text: string): void {
    if (text !== this.#said) say("shoal", text);
    this.#said = text;
  }
}

class Clock implements WatchClock {
  #wake: (() => void) | null = null;
  #awake = false;

  now(): number {
    return Date.now();
  }

  random(): number {
    return Math.random();
  }

  /** Ends the pause under way, and all later ones. */
  wake(): void {
    this.#awake = true;
    this.#wake?.();
  }

  async sleep(milliseconds: number): Promise<void> {
    if (this.#awake) return;
    await new Promise<void>((done) => {
      const timer = setTimeout(done, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        done();
      };
    });
    this.#wake = null;
  }
}
