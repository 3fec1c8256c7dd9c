/**
 * One change of the account, the same way for all: read the chain at `keys`, verify it and compare it with what is known,
 * build the next state, show it and ask, sign it with ssh-keygen, keep it durably, hand it in, wait for the answer, and
 * watch it arrive where mail is.
 */

import { resolve } from "node:path";
import type { ParseArgsOptionsConfig } from "node:util";
import type { OptionValues } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import { visibleLine } from "#cli/visible.ts";
import type { AccountState } from "#core/account/state.ts";
import { gracedAt, MAX_AHEAD_SECONDS, parseProposal, type Standing } from "#core/account/step.ts";
import { HostError, PolicyError, VerifyError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { SftpConnection } from "#host/sftp.ts";
import { valuesOf } from "../new-profile.ts";
import { DEFAULT_PROFILE, type Places } from "../places.ts";
import { loadProfile, type Profile, sshOptionsOf } from "../profile.ts";
import { type Answer, fetchBase, keysBase, readShownChain } from "./account-files.ts";
import { confirm, hasTerminal } from "./ask.ts";
import { deviceTarget } from "./fetch-login.ts";
import { isUnreachable, submit, waitUntilShown } from "./hand-in.ts";
import { describeChange } from "./keys-in-words.ts";
import { sayLearned } from "./learned.ts";
import { AccountMemory, type Knowledge } from "./memory.ts";
import type { OwnerKey } from "./owner-key.ts";
import { signState } from "./sign-state.ts";
import { type Candidates, chooseSigner, mayChange, ownerTarget } from "./signer.ts";

/** What every change takes. */
export const CHANGE_OPTIONS: ParseArgsOptionsConfig = {
  master: { type: "string", multiple: true },
  recovery: { type: "string", multiple: true },
  yes: { type: "boolean", short: "y" },
  offline: { type: "boolean" },
  profile: { type: "string" },
};

export const CHANGE_OPTIONS_HELP = `  --master FILE    sign with this master key, default the one of the profile
  --recovery FILE  sign with this recovery key instead
  --yes            don't ask
  --offline        sign by what this computer knows, and keep it for "shoal
                   account request"
  --profile NAME   profile to use, default "default"`;

/** What a change is planned by. */
export interface Ground {
  readonly profile: Profile;
  readonly places: Places;
  readonly address: string;
  readonly standing: Standing;
  readonly known: Knowledge;
  readonly signer: OwnerKey;
  /** Unix seconds. */
  readonly now: number;
}

export interface Plan {
  readonly next: Pick<AccountState, "master" | "recovery" | "devices">;
  /** Keys that sign beside the one that was chosen. */
  readonly alsoSign?: readonly OwnerKey[];
  /** Said before the question. */
  readonly notes?: readonly string[];
  /** Done before it is handed in, when it is certain that it will be. */
  beforeHandIn?(): Promise<void>;
  /** Done when machines show it. */
  whenAccepted?(): Promise<void>;
}

/**
 * @param plan gives null when there is nothing to do, having said so
 * @param preferRecovery sign with a recovery key where no key is named
 * @returns exit status: 0 accepted, 75 kept to be carried, 77 refused
 */
export async function changeAccount(
  options: OptionValues,
  plan: (ground: Ground) => Promise<Plan | null>,
  preferRecovery = false,
): Promise<number> {
  const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
  if (profile.domain === undefined) {
    throw new PolicyError(
      "USAGE",
      `the profile "${places.name}" says no domain, so its account can't be changed here`,
      {
        hint: `add "domain": "example.org" to "${places.profile}" if the server has accounts of their owners`,
      },
    );
  }
  if (options["yes"] !== true && !hasTerminal()) {
    throw new PolicyError("USAGE", "there is no terminal to ask on", {
      hint: "--yes changes the account without asking",
    });
  }
  await makeFolder(places.state, 0o700);
  const change = new Change(profile, profile.domain, places, candidatesOf(options, profile, preferRecovery));
  try {
    return await change.run(plan, options["yes"] === true, options["offline"] === true);
  } finally {
    await change.end();
  }
}

function candidatesOf(options: OptionValues, profile: Profile, preferRecovery: boolean): Candidates {
  const given = [...valuesOf(options, "recovery"), ...valuesOf(options, "master")].map((file) => resolve(file));
  if (given.length > 0) return { files: given, isGiven: true };
  const [masters, recoveries] = [profile.masters ?? [], profile.recoveries ?? []];
  return { files: preferRecovery ? recoveries : [...masters, ...recoveries], isGiven: false };
}

class Change {
  readonly #profile: Profile;
  readonly #domain: string;
  readonly #places: Places;
  readonly #candidates: Candidates;
  readonly #memory: AccountMemory;
  readonly #keysHost: string;
  readonly #base: string;
  #sftp: SftpConnection | null = null;

  constructor(profile: Profile, domain: string, places: Places, candidates: Candidates) {
    this.#profile = profile;
    this.#domain = domain;
    this.#places = places;
    this.#candidates = candidates;
    this.#memory = new AccountMemory(places, domain);
    this.#keysHost = sshOptionsOf(profile, "keys").host;
    this.#base = keysBase(profile);
  }

  async end(): Promise<void> {
    if (this.#sftp !== null && !this.#sftp.lost) await this.#sftp.end();
  }

  async run(plan: (ground: Ground) => Promise<Plan | null>, yes: boolean, offline: boolean): Promise<number> {
    const ground = await this.#findGround(offline);
    const planned = await plan(ground);
    if (planned === null) return EXIT.ok;
    if ((await this.#memory.pending()) !== null) {
      say("shoal", "a signed change waits already; this one takes its place, and only one of them can be accepted");
    }
    const { signed, standing } = await this.#sign(ground, planned, yes);
    await planned.beforeHandIn?.();
    await this.#memory.setPending(signed);
    if (this.#sftp === null) return this.#sayKept();
    const { master, recovery } = planned.next;
    const left = [ground.signer, ...(planned.alsoSign ?? [])].find(({ line }) =>
      [...master, ...recovery].includes(line),
    );
    return await this.#handIn(signed, standing, planned, left ?? ground.signer);
  }

  /** The chain as `keys` shows it, or as this computer knows it where `keys` can't be reached. */
  async #findGround(offline: boolean): Promise<Ground> {
    let known = await this.#memory.load();
    let signer = await chooseSigner(this.#candidates, known.standing, unixTime(), this.#places);
    if (!offline) {
      const learned = await this.#readKeys(signer, known);
      if (learned !== null) known = learned;
    }
    const { standing } = known;
    if (standing === null) {
      throw new PolicyError("ACCOUNT-UNKNOWN", "no machine has shown this account yet, so it can't be changed", {
        hint: "the operator has to add it first: shoal account request prints what the operator needs",
      });
    }
    const now = unixTime();
    if (!mayChange(standing, now).has(signer.line)) {
      signer = await chooseSigner(this.#candidates, standing, now, this.#places);
    }
    const address = `${this.#profile.account}@${this.#domain}`;
    return { profile: this.#profile, places: this.#places, address, standing, known, signer, now };
  }

  async #readKeys(signer: OwnerKey, known: Knowledge): Promise<Knowledge | null> {
    try {
      this.#sftp = await SftpConnection.open(ownerTarget(this.#profile, signer));
      const shown = await readShownChain(this.#sftp, this.#base);
      if (shown === null || shown === "unchanged") return null;
      const learned = await this.#memory.learn(this.#keysHost, shown.bytes, unixTime());
      sayLearned(learned, this.#keysHost);
      return learned.after;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      this.#sftp = null;
      if (known.standing === null) throw explainRefusal(error);
      say("shoal", `${error.message}; going by what this computer knows of the account`);
      return null;
    }
  }

  async #sign(ground: Ground, planned: Plan, yes: boolean): Promise<{ signed: Buffer; standing: Standing }> {
    const { standing, signer, address, now } = ground;
    const version = standing.state.version + 1;
    say("shoal", `${address}, version ${version}:`);
    for (const line of describeChange(standing.state, planned.next)) say("shoal", `  ${line}`);
    for (const note of planned.notes ?? []) say("shoal", note);
    if (
      gracedAt(standing, now).some(({ key }) => key === signer.line) &&
      !planned.next.recovery.includes(signer.line)
    ) {
      say(
        "shoal",
        "the recovery key that signs was removed, and signing this ends its say: shoal account recover takes it back",
      );
    }
    if (standing.state.time > now + MAX_AHEAD_SECONDS) {
      throw new VerifyError("CLOCK", "this computer's clock is behind the last change of the account", {
        hint: "set the clock and try again",
      });
    }
    if (!yes && !(await confirm("Sign this?")))
      throw new PolicyError("USAGE", "nothing was signed, nothing has changed");
    const { master, recovery, devices } = planned.next;
    const state: AccountState = {
      domain: this.#domain,
      account: standing.id,
      version,
      prev: standing.hash,
      time: Math.max(now, standing.state.time),
      master,
      recovery,
      devices,
    };
    return await signState(standing, state, [signer, ...(planned.alsoSign ?? [])], unixTime());
  }

  async #handIn(signed: Buffer, { state }: Standing, planned: Plan, left: OwnerKey): Promise<number> {
    let answer: Answer | null = null;
    try {
      answer = await this.#atKeys(left, (sftp) => submit(sftp, this.#base, signed));
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      say("shoal", error.message);
    }
    if (answer === null || answer.code === "PENDING") {
      const what = answer === null ? "has not answered" : "has taken it and not decided yet";
      say("shoal", `"${this.#keysHost}" ${what}`);
      return this.#sayKept();
    }
    if (answer.code !== "ACCEPTED") return await this.#sayRefused(answer.code, answer.text);
    say("shoal", `"${this.#keysHost}" accepted version ${state.version}`);
    const isShown = await this.#atKeys(left, (sftp) => {
      return waitUntilShown(sftp, this.#base, this.#keysHost, state.version, this.#memory);
    });
    if (!isShown) {
      say("shoal", `but it does not show it yet; "shoal account show" tells when it does`);
      return this.#sayKept();
    }
    try {
      await this.#watchFetch(state.version);
    } finally {
      await planned.whenAccepted?.();
    }
    return EXIT.ok;
  }

  /**
   * Does something over the connection, and once more over a new one when it breaks: a change that takes a key away ends
   * the account's sessions, this one too.
   * @param left a key that may log in after the change
   */
  async #atKeys<T>(left: OwnerKey, action: (sftp: SftpConnection) => Promise<T>): Promise<T> {
    const again = async (): Promise<T> => {
      this.#sftp = await SftpConnection.open(ownerTarget(this.#profile, left));
      return await action(this.#sftp);
    };
    if (this.#sftp === null || this.#sftp.lost) return await again();
    try {
      return await action(this.#sftp);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      return await again();
    }
  }

  /** Where mail is, the new version counts from the moment that it is shown. */
  async #watchFetch(version: number): Promise<void> {
    const { host } = this.#profile;
    try {
      const target = await deviceTarget(this.#profile, this.#places, false);
      if (target === null) {
        say(
          "shoal",
          `shoal account show asks "${host}" whether it has it too: the key of this computer needs its passphrase for that`,
        );
        return;
      }
      const sftp = await SftpConnection.open(target);
      try {
        const isThere = await waitUntilShown(sftp, fetchBase(this.#profile), host, version, this.#memory);
        say(
          "shoal",
          isThere ? `"${host}" has it too` : `"${host}" does not show it yet: shoal account show tells later`,
        );
      } finally {
        sftp.kill();
      }
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      say("shoal", `can't see whether "${host}" has it: ${error.message}`);
    }
  }

  async #sayRefused(code: string, text: string): Promise<number> {
    say("shoal", `error: "${this.#keysHost}" refused it: ${code}: ${visibleLine(text)}`);
    if (code === "VERSION" || code === "PREV" || code === "TIME") {
      await this.#memory.setPending(null);
      say("shoal", "hint: another change came first: type the same again");
      return EXIT.denied;
    }
    say("shoal", "hint: it holds by the account's own rules, so this is for the operator to find out");
    this.#sayKept();
    return EXIT.denied;
  }

  #sayKept(): number {
    say("shoal", "the signed change is kept: shoal account request prints it, for the operator to carry it in;");
    say("shoal", "it may be accepted on its own, too: shoal account show tells");
    return EXIT.temporary;
  }
}

function explainRefusal(error: HostError): HostError {
  if (error.code !== "LOGIN") return error;
  return new HostError("LOGIN", error.message, {
    cause: error,
    hint: "master and recovery keys log in there, once the operator has added the account: shoal account request prints what the operator needs",
  });
}

/** The state that waits, if it is of this version or later: for `shoal account show`. */
export async function waitingVersion(memory: AccountMemory): Promise<number | null> {
  const pending = await memory.pending();
  return pending === null ? null : parseProposal(pending).state.version;
}
