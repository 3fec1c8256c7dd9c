/** What this computer can tell about its own state and that of its mailbox: each with what to do, if something is to be done. */

import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";
import type { Head } from "#core/mailbox/head.ts";
import { verifyHead } from "#core/mailbox/head.ts";
import { reasonOf } from "#core/mailbox/judge-head.ts";
import { type SignerList, verifySigners } from "#core/mailbox/signers.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { SftpConnection } from "#host/sftp.ts";
import { checkAccount, explainRefusedLogin } from "./account/check-at-sync.ts";
import { deviceTarget } from "./account/fetch-login.ts";
import { fingerprintOf } from "./account/keys-in-words.ts";
import { trustCommand } from "./account/learned.ts";
import { AccountMemory } from "./account/memory.ts";
import { localTime } from "./local-time.ts";
import { Alerts } from "./mailbox/alerts.ts";
import { operatorKeys, operatorName } from "./mailbox/operator-keys.ts";
import { mailboxPaths } from "./mailbox/paths.ts";
import { readHeadFiles } from "./mailbox/read.ts";
import { MailboxState } from "./mailbox/state.ts";
import type { Places } from "./places.ts";
import type { Profile } from "./profile.ts";

/** One line of the report. */
export interface Check {
  /** One word: what was looked at. */
  readonly about: string;
  readonly isWell: boolean;
  readonly text: string;
  /** What to do; undefined where nothing is. */
  readonly advice: string | undefined;
  /** The exit status that it gives. */
  readonly status: number;
}

/** How long after the time that it names a head is missed. */
const MISSED_SECONDS = 600;
const SIGNER_ENDS_SOON_SECONDS = 7 * 86_400;

/**
 * @param isOffline ask nobody
 * @param now Unix seconds
 */
export async function checkUp(profile: Profile, places: Places, isOffline: boolean, now: number): Promise<Check[]> {
  const { domain } = profile;
  if (domain === undefined) {
    const checks = isOffline ? [] : [await checkServerAlone(profile, places)];
    return [...checks, well("mailbox", "the profile has no address: what the server shows is not proven by a ledger")];
  }
  const operator = await tried("operator", async () => {
    const keys = [...(await operatorKeys(profile, domain))];
    return [keys, well("operator", `${operatorName(domain)} signs with ${keys.map(fingerprintOf).join(", ")}`)];
  });
  const checks = [operator.check];
  if (!isOffline) checks.push(...(await checkServer(profile, places, new Set(operator.value ?? []), domain, now)));
  const account = await checkKnownAccount(profile, places);
  return [...checks, account.check, await checkMemory(places, account.value ?? null), await checkAlerts(places)];
}

function well(about: string, text: string, advice?: string): Check {
  return { about, isWell: true, text, advice, status: EXIT.ok };
}

function ill(about: string, text: string, advice: string | undefined, status: number): Check {
  return { about, isWell: false, text, advice, status };
}

/** What our own errors say is a line; any other is a defect. */
async function tried<T>(about: string, work: () => Promise<[T, Check]>): Promise<{ value?: T; check: Check }> {
  try {
    const [value, check] = await work();
    return { value, check };
  } catch (error) {
    const isOurs =
      error instanceof HostError ||
      error instanceof FormatError ||
      error instanceof VerifyError ||
      error instanceof PolicyError;
    if (!isOurs) throw error;
    return { check: ill(about, error.message, error.hint, exitStatusOf(error)) };
  }
}

async function open(profile: Profile, places: Places): Promise<[SftpConnection, Check]> {
  const target = await deviceTarget(profile, places, true);
  if (target === null) throw new HostError("AUTH", "no key of this computer can log in");
  try {
    return [await SftpConnection.open(target), well("server", `"${profile.host}" lets this computer in`)];
  } catch (error) {
    throw await explainRefusedLogin(error, profile, places);
  }
}

async function checkServerAlone(profile: Profile, places: Places): Promise<Check> {
  const { value, check } = await tried("server", () => open(profile, places));
  value?.kill();
  return check;
}

async function checkServer(
  profile: Profile,
  places: Places,
  roots: ReadonlySet<string>,
  domain: string,
  now: number,
): Promise<Check[]> {
  const server = await tried("server", () => open(profile, places));
  const sftp = server.value;
  if (sftp === undefined) return [server.check];
  try {
    const shown = await tried("account", async () => {
      await checkAccount(sftp, profile, places);
      return [null, well("account", `"${profile.host}" shows the account as this computer knows it`)];
    });
    const proof = await tried("proof", async () => {
      const { head, signers } = await readHeadFiles(sftp, mailboxPaths(profile));
      return [null, judgeProof(head, signers, domain, roots, now)];
    });
    return [server.check, shown.check, proof.check];
  } finally {
    sftp.kill();
  }
}

function judgeProof(
  headFile: Buffer | null,
  signersFile: Buffer | null,
  domain: string,
  roots: ReadonlySet<string>,
  now: number,
): Check {
  if (headFile === null || signersFile === null) {
    const what = headFile === null ? "there is no head of the mailbox yet" : "there is no list of who signs heads";
    return ill(
      "proof",
      what,
      "right after the account was added wait some minutes; else tell the operator",
      EXIT.protocol,
    );
  }
  let list: SignerList;
  let head: Head;
  try {
    list = verifySigners(signersFile, domain, roots);
    head = verifyHead(headFile, domain, list);
  } catch (error) {
    return ill("proof", reasonOf(error), "tell the operator", EXIT.protocol);
  }
  const age = now - head.time;
  const text = `the ledger's head is of ${localTime(head.time)}, ${age} seconds old by this computer's clock, and ends at delivery ${head.last.seq}`;
  if (age < -MISSED_SECONDS) return ill("proof", text, "set this computer's clock", EXIT.protocol);
  if (now > head.next + MISSED_SECONDS) {
    return ill("proof", text, "check this computer's clock; if it is right, tell the operator", EXIT.temporary);
  }
  const until = Math.max(...list.signers.map((signer) => signer.until));
  const isEnding = until - now < SIGNER_ENDS_SOON_SECONDS;
  const ending = `; the operator has certified its signer until ${localTime(until)}`;
  return well("proof", `${text}${ending}`, isEnding ? "tell the operator, if it is days from now" : undefined);
}

async function checkKnownAccount(profile: Profile, places: Places): Promise<{ value?: string | null; check: Check }> {
  return await tried("known", async () => {
    const { id, origin, standing } = await new AccountMemory(places, profile.domain ?? null).load();
    if (id !== null && origin === "created" && standing === null) {
      const advice = "the operator has to add it: shoal account request prints what the operator needs";
      return [id, ill("known", `account ${id}, made here, is not on the server yet`, advice, EXIT.temporary)];
    }
    if (id === null || standing === null) {
      return [id, ill("known", "this computer knows no account yet", "shoal sync learns it", EXIT.temporary)];
    }
    const text = `account ${id}, version ${standing.state.version}, accepted ${localTime(standing.accepted)}`;
    const pin = `if another device shows the same id, "${trustCommand(id)}" makes it certain`;
    return [
      id,
      well("known", origin === "seen" ? `${text}, seen and not pinned` : text, origin === "seen" ? pin : undefined),
    ];
  });
}

async function checkMemory(places: Places, account: string | null): Promise<Check> {
  const { check } = await tried("memory", async () => {
    const memory = account === null ? null : await new MailboxState(places).memory(account);
    const believed = memory?.believed ?? null;
    if (believed === null)
      return [null, well("memory", "this computer has believed nothing of the mailbox yet", "shoal sync")];
    const { last, headTime, gone } = believed;
    const text = `deliveries up to ${last.seq} were seen, in a head of ${localTime(headTime)}; ${gone.length} of the latest are known to be removed`;
    return [null, well("memory", text)];
  });
  return check;
}

async function checkAlerts(places: Places): Promise<Check> {
  const { check } = await tried("alerts", async () => {
    const alerts = await new Alerts(new MailboxState(places)).list();
    const codes = [...new Set(alerts.map(({ code }) => code))].join(", ");
    return alerts.length === 0
      ? [null, well("alerts", "none")]
      : [
          null,
          ill("alerts", `${alerts.length}: ${codes}`, '"shoal alerts" lists them, with what to do', EXIT.protocol),
        ];
  });
  return check;
}
