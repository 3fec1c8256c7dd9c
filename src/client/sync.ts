/** `shoal sync` */

import { readableBytes } from "#cli/columns.ts";
import type { Verb } from "#cli/command.ts";
import { complain, Progress, print, say } from "#cli/terminal.ts";
import { visibleJson } from "#cli/visible.ts";
import type { Standing } from "#core/account/step.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { takeLock } from "#host/lock.ts";
import { SftpConnection } from "#host/sftp.ts";
import { checkAccount, explainRefusedLogin, isConnectionFailure } from "./account/check-at-sync.ts";
import { type KeyFile, loadKeys } from "./identities.ts";
import { loginOptions } from "./login.ts";
import { Alerts } from "./mailbox/alerts.ts";
import { Auditor } from "./mailbox/auditor.ts";
import { type DeviceSigner, deviceSigner } from "./mailbox/device-signer.ts";
import { isAlarming, type Proof, proofInJson, reportProof } from "./mailbox/report-proof.ts";
import { MailboxState } from "./mailbox/state.ts";
import { nothingDone, type SyncFailure, type SyncOptions, type SyncResult, syncMailbox } from "./mailbox-sync.ts";
import { DEFAULT_PROFILE, type Places } from "./places.ts";
import { loadProfile, type Profile } from "./profile.ts";
import { flushInPassing } from "./send/flush.ts";
import { outTarget } from "./send/out-login.ts";
import { Outbox } from "./send/outbox.ts";
import { Storekeeper } from "./storekeeper.ts";
import { syncProven } from "./sync-proven.ts";

export const syncVerb: Verb = {
  help: `usage: shoal sync [--profile NAME] [--keep] [--json]

Fetches new mail: holds the mailbox against the list of what was delivered,
which the server's signer has signed, downloads what is new over one SSH
connection, checks that each file is what was delivered, opens it with your
keys, stores it in the Maildir, and removes it from the server once it is safe
on this computer's disk, with a note that this computer signs. It may be
interrupted at any moment: nothing is lost, nothing comes twice.

  --profile NAME  profile to use, default "default"
  --keep          leave everything on the server
  --json          print the result as one JSON object in the last line

What does not fit is said, not opened, and listed until you have acknowledged
it: "shoal alerts". On the way it looks at the account that the server shows,
and says so if that is not the one that this computer knows. Then it sends what
waits in the outbox.

Exit status: 0 all is well, 65 some files could not be opened (they stay on
the server), 75 the network or this computer's disk failed, or what is removed
could not be signed: try again, 76 the server shows another mailbox or account
than it should, 78 the operator's key is not known.

Example:
  shoal sync && mutt -f ~/Mail/shoal
`,
  options: { profile: { type: "string" }, keep: { type: "boolean" }, json: { type: "boolean" } },
  async run(_operands, options) {
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    return await syncOnce(profile, places, {
      keep: options["keep"] === true,
      tell(told) {
        if (options["json"] === true) print(`${visibleJson(told)}\n`);
      },
    });
  },
};

export interface SyncRun {
  /** Leave everything on the server. */
  readonly keep: boolean;
  /** The profile's, if they are loaded already. */
  readonly keys?: readonly KeyFile[];
  /** Gets what `--json` prints. */
  readonly tell: (told: SyncResult & { readonly seconds: number }) => void;
}

/** One round. @returns its exit status, having said what there is to say; what ends it before its time is thrown */
export async function syncOnce(profile: Profile, places: Places, { keep, keys, tell }: SyncRun): Promise<number> {
  const start = performance.now();
  await makeFolder(places.state, 0o700);
  const lock = takeLock(places.lock, "shoal sync for this profile");
  try {
    const fetched = await fetchMail(profile, places, keys ?? (await loadKeys(profile.identities)), keep);
    const { result, proof, interruption, accountError, removalError } = fetched;
    const seconds = Math.round(performance.now() - start) / 1000;
    const isNothing = interruption !== undefined && result.listed === 0;
    if (!isNothing) report(profile, result, seconds);
    const alerts = proof === null ? [] : await new Alerts(new MailboxState(places)).list();
    if (proof !== null) reportProof(proof, alerts);
    tell({ ...result, ...proofInJson(proof, alerts), seconds });
    for (const error of [accountError, removalError]) if (error !== undefined) complain("shoal", error);
    await flushInPassing({
      outbox: new Outbox(places.outbox),
      places,
      login: () => outTarget(profile, places),
    });
    if (interruption !== undefined) throw await explainRefusedLogin(interruption, profile, places);
    if (accountError !== undefined) return exitStatusOf(accountError);
    if (proof !== null && isAlarming(proof.audit.findings)) return EXIT.protocol;
    if (removalError !== undefined) return exitStatusOf(removalError);
    return result.failed.length > 0 ? EXIT.data : EXIT.ok;
  } finally {
    lock.release();
  }
}

interface Fetched {
  readonly result: SyncResult;
  /** Null for profiles without an address, whose mailboxes have no ledger. */
  readonly proof: Proof | null;
  readonly interruption: unknown;
  readonly accountError: unknown;
  readonly removalError: unknown;
}

async function fetchMail(profile: Profile, places: Places, keys: readonly KeyFile[], keep: boolean): Promise<Fetched> {
  // Logging in takes several round trips: the disk and the keys are made ready meanwhile.
  const sftp = SftpConnection.start(await loginOptions(profile, places, keys));
  const staging = `shoal-incoming-${places.name}`;
  const storage = Storekeeper.start(keys, { maildir: profile.maildir, staging, journal: places.journal });
  const progress = new Progress("fetching");
  const patience = setTimeout(() => sayPatience(), LOGIN_PATIENCE_MS);
  sftp.ready().then(
    () => clearTimeout(patience),
    () => clearTimeout(patience),
  );
  const onProgress = ({ stored, failed, listed, duplicates, bytes }: SyncResult): void => {
    progress.update(stored + failed.length + duplicates, listed, readableBytes(bytes));
  };
  try {
    const { domain } = profile;
    if (domain === undefined) return await fetchUnproven(sftp, profile, places, { storage, keep, onProgress });
    const auditor = new Auditor(sftp, { ...profile, domain }, places);
    const signer = (standing: Standing): Promise<DeviceSigner | null> => deviceSigner(keys, standing, places);
    const proven = await syncProven({ sftp, auditor, storage, keep, signer, onProgress });
    return { ...proven, proof: proven };
  } catch (interruption) {
    const nothing = { proof: null, accountError: undefined, removalError: undefined };
    return { result: nothingDone(), interruption, ...nothing };
  } finally {
    clearTimeout(patience);
    progress.finish();
    // Everything was answered: another round trip for a goodbye gives nobody anything.
    sftp.kill();
    await storage.close();
  }
}

/** From a server whose keys were put in place by hand: there is no ledger, and perhaps an account. */
async function fetchUnproven(
  sftp: SftpConnection,
  profile: Profile,
  places: Places,
  how: Pick<SyncOptions, "storage" | "keep" | "onProgress">,
): Promise<Fetched> {
  const account = checkAccount(sftp, profile, places).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { result, interruption } = await syncMailbox({ sftp, folder: profile.folder, ...how });
  const accountError = await account;
  const isNew = interruption === undefined || !isConnectionFailure(accountError);
  return {
    result,
    interruption,
    accountError: isNew ? accountError : undefined,
    ...{ proof: null, removalError: undefined },
  };
}

const LOGIN_PATIENCE_MS = 3000;

/** ssh has no terminal here, so it can't ask for a touch itself. */
function sayPatience(): void {
  if (process.stderr.isTTY) say("shoal", "logging in; if you use a security key, touch it now");
}

function report(profile: Profile, result: SyncResult, seconds: number): void {
  const { stored, duplicates, failed, bytes } = result;
  const more = duplicates > 0 ? `, ${duplicates} seen before` : "";
  say("shoal", `${stored} new in "${profile.maildir}"${more} (${readableBytes(bytes)} in ${seconds} s)`);
  for (const [code, failures] of groupByCode(failed)) {
    for (const { file, message } of failures.slice(0, SHOWN_FAILURES)) say("shoal", `error: ${file}: ${message}`);
    if (failures.length > SHOWN_FAILURES) {
      say("shoal", `error: and ${failures.length - SHOWN_FAILURES} more like this (${code})`);
    }
    say("shoal", `hint: ${HINTS[code] ?? OTHER_HINT}`);
  }
}

const SHOWN_FAILURES = 3;
const DAMAGED_HINT =
  "it was not stored and stays on the server; if it comes again, tell the operator: somebody may have changed it";
const OTHER_HINT = "it was not stored and stays on the server: tell the operator";
const HINTS: Record<string, string> = {
  "NO-IDENTITY":
    'add the key that it was sealed to under "identities" in the profile; it stays on the server until then',
  DIGEST: DAMAGED_HINT,
  "AGE-HEADER": DAMAGED_HINT,
  "AGE-MAC": DAMAGED_HINT,
  "AGE-PAYLOAD": DAMAGED_HINT,
  "TOO-LARGE": "fetch it with sftp and open it with age",
  FILE: "the server does not let this account read or remove it: tell the operator",
};

function groupByCode(failed: readonly SyncFailure[]): Map<string, SyncFailure[]> {
  const groups = new Map<string, SyncFailure[]>();
  for (const failure of failed) groups.set(failure.code, [...(groups.get(failure.code) ?? []), failure]);
  return groups;
}
