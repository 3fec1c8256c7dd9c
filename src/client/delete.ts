/** `shoal delete` */

import type { Verb } from "#cli/command.ts";
import { complain, print, say } from "#cli/terminal.ts";
import { visibleJson } from "#cli/visible.ts";
import { PolicyError } from "#core/errors.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { closesMailbox } from "#core/mailbox/finding.ts";
import { EXIT, exitStatusOf } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { takeLock } from "#host/lock.ts";
import { SftpConnection } from "#host/sftp.ts";
import { explainRefusedLogin } from "./account/check-at-sync.ts";
import { type KeyFile, loadLoginKeys } from "./identities.ts";
import { loginOptions } from "./login.ts";
import { Alerts } from "./mailbox/alerts.ts";
import { type Audited, Auditor } from "./mailbox/auditor.ts";
import { CHOICE_HELP, chooseEntries } from "./mailbox/choose.ts";
import { deviceSigner } from "./mailbox/device-signer.ts";
import { Removal } from "./mailbox/removal.ts";
import { isAlarming, reportProof } from "./mailbox/report-proof.ts";
import { readMaildir } from "./maildir-reader.ts";
import { DEFAULT_PROFILE, type Places } from "./places.ts";
import { loadProfile, type Profile } from "./profile.ts";

export const deleteVerb: Verb = {
  help: `usage: shoal delete NUMBER|ID|FILE|@NUMBER... [--profile NAME] [--json]

Removes mail from the server that is kept there, as "shoal sync --keep" leaves
it, and leaves a note that this computer signs: by it your other devices know
that you did it, and not somebody else. What is in the Maildir stays there.

${CHOICE_HELP}
  --profile NAME  profile to use, default "default"
  --json          print the result as one JSON object

Exit status: 0 all of it is removed, 75 the network failed, or the note could
not be signed: try again, 76 something is wrong with the mailbox.

Example:
  shoal delete 3
  shoal delete ~/Mail/shoal/cur/0f3c*
`,
  options: { profile: { type: "string" }, json: { type: "boolean" } },
  async run(operands, options) {
    if (operands.length === 0) {
      throw new PolicyError("USAGE", "expected the number, id or file of a mail", {
        hint: '"shoal list" shows the numbers',
      });
    }
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    await makeFolder(places.state, 0o700);
    const lock = takeLock(places.lock, "another shoal for this profile");
    try {
      const keys = await loadLoginKeys(profile.identities);
      const sftp = await SftpConnection.open(await loginOptions(profile, places, keys)).catch(
        async (error: unknown) => {
          throw await explainRefusedLogin(error, profile, places);
        },
      );
      try {
        return await removeMail(sftp, profile, places, keys, operands, options["json"] === true);
      } finally {
        sftp.kill();
      }
    } finally {
      lock.release();
    }
  },
};

async function removeMail(
  sftp: SftpConnection,
  profile: Profile,
  places: Places,
  keys: readonly KeyFile[],
  operands: readonly string[],
  isJson: boolean,
): Promise<number> {
  const { domain } = profile;
  if (domain === undefined) {
    throw new PolicyError(
      "USAGE",
      `the profile "${places.name}" says no domain: its server keeps no list of deliveries`,
      {
        hint: "remove the file with sftp",
      },
    );
  }
  const auditor = new Auditor(sftp, { ...profile, domain }, places);
  const audited = await auditor.audit();
  const { result, standing, accountError } = audited;
  if (result.findings.length > 0) {
    const alerts = await new Alerts(auditor.state).list();
    reportProof({ audit: result, expiredUnseen: 0 }, alerts);
  }
  if (accountError !== undefined) complain("shoal", accountError);
  if (result.head === null || result.findings.some(closesMailbox)) {
    say("shoal", "nothing was removed");
    return accountError === undefined ? EXIT.protocol : exitStatusOf(accountError);
  }
  const chosen = await chooseEntries(operands, result.live, () => readMaildir(profile.maildir));
  const present = presentOf(audited, chosen);
  const { removed, failed } = await new Removal(sftp, auditor, audited).remove(
    present,
    present.length === 0 ? null : await deviceSigner(keys, standing, places),
  );
  for (const entry of chosen) {
    if (!present.includes(entry)) say("shoal", `@${entry.seq} is not on the server any more`);
  }
  for (const { file, error } of failed) say("shoal", `error: ${file}: ${error.message}`);
  if (isJson) {
    const told = removed.map(({ seq, digest }) => ({ seq, digest }));
    print(`${visibleJson({ removed: told, failed: failed.map(({ file }) => file) })}\n`);
  } else say("shoal", `${removed.length} removed from the server`);
  if (accountError !== undefined) return exitStatusOf(accountError);
  if (failed.length > 0) return EXIT.temporary;
  return isAlarming(result.findings) ? EXIT.protocol : EXIT.ok;
}

/** A note about a file that is not there would explain away who took it. */
function presentOf({ shown }: Audited, chosen: readonly Entry[]): Entry[] {
  const there = new Set(shown.mail.map(({ name }) => name));
  return chosen.filter((entry) => there.has(mailName(entry)));
}
