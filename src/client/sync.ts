/** `shoal sync` */

import { readableBytes } from "#cli/columns.ts";
import type { Verb } from "#cli/command.ts";
import { complain, Progress, print, say } from "#cli/terminal.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { takeLock } from "#host/lock.ts";
import { SftpConnection } from "#host/sftp.ts";
import { checkAccount, explainRefusedLogin, isConnectionFailure } from "./account/check-at-sync.ts";
import { loadKeys } from "./identities.ts";
import { loginOptions } from "./login.ts";
import { type SyncFailure, type SyncResult, syncMailbox } from "./mailbox-sync.ts";
import { DEFAULT_PROFILE, type Places } from "./places.ts";
import { loadProfile, type Profile } from "./profile.ts";
import { flushInPassing } from "./send/flush.ts";
import { outTarget } from "./send/out-login.ts";
import { Outbox } from "./send/outbox.ts";
import { Storekeeper } from "./storekeeper.ts";

export const syncVerb: Verb = {
  help: `usage: shoal sync [--profile NAME] [--keep] [--json]

Fetches new mail: downloads it over one SSH connection, checks that each file
is what its name promises, opens it with your keys, stores it in the Maildir,
and removes it from the server once it is safe on this computer's disk. It may
be interrupted at any moment: nothing is lost, nothing comes twice.

  --profile NAME  profile to use, default "default"
  --keep          leave everything on the server
  --json          print the result as one JSON object in the last line

On the way it looks at the account that the server shows, and says so if that
is not the one that this computer knows. Then it sends what waits in the outbox.

Exit status: 0 all is well, 65 some files could not be opened (they stay on
the server), 75 the network or this computer's disk failed: try again, 76 the
server shows another history of the account, or less of it.

Example:
  shoal sync && mutt -f ~/Mail/shoal
`,
  options: { profile: { type: "string" }, keep: { type: "boolean" }, json: { type: "boolean" } },
  async run(_operands, options) {
    const start = performance.now();
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    await makeFolder(places.state, 0o700);
    const lock = takeLock(places.lock, "shoal sync for this profile");
    try {
      const { result, interruption, accountError } = await fetchMail(profile, places, options["keep"] === true);
      const seconds = Math.round(performance.now() - start) / 1000;
      report(profile, result, seconds);
      if (options["json"] === true) print(`${JSON.stringify({ ...result, seconds })}\n`);
      if (accountError !== undefined) complain("shoal", accountError);
      await flushInPassing({
        outbox: new Outbox(places.outbox),
        places,
        login: () => outTarget(profile, places),
      });
      if (interruption !== undefined) throw await explainRefusedLogin(interruption, profile, places);
      if (accountError !== undefined) return exitStatusOf(accountError);
      return result.failed.length > 0 ? EXIT.data : EXIT.ok;
    } finally {
      lock.release();
    }
  },
};

async function fetchMail(
  profile: Profile,
  places: Places,
  keep: boolean,
): Promise<{ result: SyncResult; interruption: unknown; accountError: unknown }> {
  const keys = await loadKeys(profile.identities);
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
  const account = checkAccount(sftp, profile, places).then(
    () => undefined,
    (error: unknown) => error,
  );
  try {
    const { result, interruption } = await syncMailbox({
      sftp,
      folder: profile.folder,
      storage,
      keep,
      onProgress({ stored, failed, listed, duplicates, bytes }) {
        progress.update(stored + failed.length + duplicates, listed, readableBytes(bytes));
      },
    });
    const accountError = await account;
    const isNew = interruption === undefined || !isConnectionFailure(accountError);
    return { result, interruption, accountError: isNew ? accountError : undefined };
  } finally {
    progress.finish();
    // Everything was answered: another round trip for a goodbye gives nobody anything.
    sftp.kill();
    await storage.close();
  }
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
