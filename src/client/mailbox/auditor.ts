/** Reads a mailbox and holds it against its ledger and against what this computer remembers, before anything is opened. */

import type { Accepted } from "#core/account/chain.ts";
import { parseProposal, type Standing } from "#core/account/step.ts";
import { VerifyError } from "#core/errors.ts";
import { type AuditResult, audit, type Shown } from "#core/mailbox/audit.ts";
import { unixTime } from "#host/clock.ts";
import type { SftpConnection } from "#host/sftp.ts";
import { checkAccount } from "../account/check-at-sync.ts";
import { AccountMemory } from "../account/memory.ts";
import type { Places } from "../places.ts";
import type { Profile } from "../profile.ts";
import { Alerts } from "./alerts.ts";
import { operatorKeys } from "./operator-keys.ts";
import { type MailboxPaths, mailboxPaths } from "./paths.ts";
import { readMailbox } from "./read.ts";
import { MailboxState } from "./state.ts";

/** A profile that knows its address. */
export type AddressedProfile = Profile & { readonly domain: string };

export interface Audited {
  readonly result: AuditResult;
  /** The account as this computer knows it now. */
  readonly standing: Standing;
  /** What the server showed at last. */
  readonly shown: Shown;
  /** What is wrong with the account that the server shows; the mailbox was judged by the one that is known then. */
  readonly accountError: unknown;
}

/** What {@link Auditor.audit} goes on from. */
export interface AuditStep {
  /** SHA-256 in hex of files in `mail/`, by name. */
  readonly digests?: ReadonlyMap<string, string>;
  /** An earlier one of the same run: then it is not read twice again. */
  readonly before?: AuditResult;
}

export class Auditor {
  readonly paths: MailboxPaths;
  readonly state: MailboxState;
  readonly #sftp: SftpConnection;
  readonly #profile: AddressedProfile;
  readonly #places: Places;
  /** Unix seconds, by this computer's clock. */
  readonly now: () => number;
  readonly #roots: Promise<Set<string>>;

  /** The profile's lock must be held. */
  constructor(sftp: SftpConnection, profile: AddressedProfile, places: Places, now: () => number = unixTime) {
    this.paths = mailboxPaths(profile);
    this.state = new MailboxState(places);
    this.#sftp = sftp;
    this.#profile = profile;
    this.#places = places;
    this.now = now;
    this.#roots = operatorKeys(profile, profile.domain);
    // Whoever audits hears of it.
    this.#roots.catch(() => undefined);
  }

  /**
   * Reads everything, once more if the audit asks for that, and judges it. What came of it is remembered, durably, and its
   * findings are among the {@link Alerts}, when this returns.
   * @throws FormatError CONFIG without an operator's key; VerifyError ACCOUNT when no account is known; HostError FILE,
   * NETWORK, AUTH, …; SftpStatusError; FormatError SFTP, TOO-LARGE
   */
  async audit(step: AuditStep = {}): Promise<Audited> {
    const first = await this.#judge(step);
    const audited = first.result.readAgain ? await this.#judge({ ...step, before: first.result }) : first;
    const { memory, findings } = audited.result;
    await this.state.remember(memory);
    await new Alerts(this.state).note(findings, this.now());
    return audited;
  }

  async #judge({ digests = new Map(), before }: AuditStep): Promise<Audited> {
    const read = readMailbox(this.#sftp, this.paths, () => this.#learnAccount());
    const [roots, { shown, account }] = await Promise.all([this.#roots, read]);
    const { standing, versions, accountError } = account;
    const memory = await this.state.memory(standing.id);
    const formerKeys = authKeysOfAll(versions);
    const input = { ...shown, standing, formerKeys, roots, digests, memory, now: this.now() };
    const result = audit(before === undefined ? input : { ...input, before });
    return { result, standing, shown, accountError };
  }

  /** What the server shows of the account, or if that is wrong, what is known of it. */
  async #learnAccount(): Promise<{ standing: Standing; versions: readonly Accepted[]; accountError: unknown }> {
    let accountError: unknown;
    try {
      await checkAccount(this.#sftp, this.#profile, this.#places);
    } catch (error) {
      if (!(error instanceof VerifyError)) throw error;
      accountError = error;
    }
    const { standing, versions } = await new AccountMemory(this.#places, this.#profile.domain).load();
    if (standing !== null) return { standing, versions, accountError };
    if (accountError !== undefined) throw accountError;
    throw new VerifyError("ACCOUNT", `"${this.#profile.host}" shows no account, so nothing proves its mail`, {
      hint: "if the operator has just added the account, try again in a minute; else tell the operator",
    });
  }
}

/** `auth` keys of all versions. */
export function authKeysOfAll(versions: readonly Accepted[]): Set<string> {
  const devices = versions.flatMap(({ signed }) => parseProposal(signed).state.devices);
  return new Set(devices.filter(({ auth }) => auth).map(({ key }) => key));
}
