/** `shoal sendmail`, for programs that call `sendmail`. */

import { userInfo } from "node:os";
import type { Verb } from "#cli/command.ts";
import { say } from "#cli/terminal.ts";
import { visibleLine } from "#cli/visible.ts";
import { PolicyError } from "#core/errors.ts";
import { parseAddressList } from "#core/mail/submission/address-list.ts";
import { printAddress } from "#core/mail/submission/envelope-address.ts";
import { checkLines } from "#core/mail/submission/lines.ts";
import { DEFAULT_LIMITS } from "#core/mail/submission/prepare.ts";
import { readStrictHeader } from "#core/mail/submission/strict-header.ts";
import { unixTime } from "#host/clock.ts";
import { EXIT } from "#host/exit.ts";
import { explainRefusedLogin } from "../account/check-at-sync.ts";
import { DEFAULT_PROFILE, type Places } from "../places.ts";
import { loadProfile, type Profile } from "../profile.ts";
import { type Correspondent, parseCorrespondent } from "./correspondent.ts";
import { type Dispatch, keepUnsent, type Try, tryToSend } from "./deliver.ts";
import { fillIn } from "./fill-in.ts";
import type { Errand } from "./hand-over.ts";
import { outTarget } from "./out-login.ts";
import { outboxVerb } from "./outbox-verb.ts";
import { sayProblems } from "./person.ts";
import { leadNowhere } from "./problems-in-words.ts";
import { ownAddress, readMessage } from "./read-draft.ts";
import { sayKept } from "./send.ts";
import { withSenderStatus } from "./sender-status.ts";
import { parseSendmail, type SendmailCommand } from "./sendmail-flags.ts";

export const sendmailVerb: Verb = withSenderStatus({
  help: `usage: shoal sendmail [-t] [-i] [-f ADDRESS] [-F NAME] [-v] [--anyway]
                      [--profile NAME] [--] [ADDRESS]...

Takes a message from standard input, as "sendmail" does, for programs that know
only that: mutt, neomutt, aerc, git send-email, mailx, cron. A link to shoal by
the name "sendmail" (or "mailq") does the same. It asks nobody.

  -t              send it to whom To, Cc and Bcc name, and to the ADDRESSes
  -i, -oi         a line with nothing but a dot does not end the message
  -f, -r ADDRESS  where bounces go, and From where the message has none
  -F NAME         your name, where the message has no From
  -v              print what the server says of a message that it accepts
  -bp, -q         show the outbox; send what waits there
  --anyway        send it also where the way is not protected
  --profile NAME  profile to use, default "default"

Passed over: -bm, -bi, -m, -n, -G, -U, -A -B -h -L -N -p -R -V with their values,
and -od, -oe, -om, -oo, -o7, -o8, -oT. All others are refused.

From, Date and Message-ID are added where they are missing. An address without
a domain is yours if it is your login name here, and wrong if not.

Exit status: 0 accepted, or kept in the outbox because the network or the server
fails for now; 64 the command, 65 the message, 67 an address is wrong; 75 not
sent: the way is not protected, the login failed, or it may have been sent
(then it is kept, see "shoal outbox --help"); 77 not allowed.

Example:
  shoal sendmail -t -i < letter.eml
`,
  takesAll: true,
  async run(argv) {
    const command = parseSendmail(argv);
    const profileName = command.profile ?? DEFAULT_PROFILE;
    if (command.action === "aliases") return EXIT.ok;
    if (command.action !== "send")
      return await outboxVerb.run([command.action], { profile: profileName, strict: true });
    const { profile, places } = await loadProfile(profileName);
    return await send(command, profile, places);
  },
});

async function send(command: SendmailCommand, profile: Profile, places: Places): Promise<number> {
  const own = ownAddress(profile);
  const localNames = [userInfo().username, profile.account];
  const sender = command.sender === null || !command.sender.includes("@") ? null : bare(command.sender, "-f");
  if (command.sender === "" || command.sender === "<>") {
    throw new PolicyError("USAGE", "mail without a sender is not taken", { hint: "leave -f out" });
  }
  const from: Correspondent = { name: command.name ?? own.name, address: sender ?? own.address };
  const message = fillIn(await readMessage("-"), {
    from,
    localNames,
    ignoreDots: command.ignoreDots,
    time: unixTime(),
  });
  const given = command.recipients.map((word) => (localNames.includes(word) ? own.address : bare(word, "recipient")));
  if (given.length === 0 && !command.fromHeader) {
    throw new PolicyError("USAGE", "expected recipients, or -t for those that the message names");
  }
  const named = command.fromHeader && given.length > 0 ? recipientsOf(message) : [];
  const recipients = given.length === 0 ? null : [...new Set([...named, ...given])];
  const verb = command.anyway ? "send-anyway" : "send";
  const dispatch: Dispatch = { profile, target: await outTarget(profile, places), places, json: false };
  const errand: Errand = { verb, envelopeFrom: sender, recipients };
  return await report(dispatch, errand, message, await tryToSend(dispatch, errand, message), command.verbose);
}

/** What calls this shows its user what stands on standard error, if anything. */
async function report(
  dispatch: Dispatch,
  errand: Errand,
  message: Buffer,
  end: Try,
  verbose: boolean,
): Promise<number> {
  const kept = await keepUnsent(dispatch, errand, message, end);
  if (end.kind === "not-sent" && kept.length === 0) {
    throw await explainRefusedLogin(end.error, dispatch.profile, dispatch.places);
  }
  if (end.kind === "unprotected") {
    sayProblems(end.problems);
    const advice = leadNowhere(end.problems) ? "" : "; sendmail --anyway sends it knowingly";
    say("shoal", `nothing was sent${advice}`);
    return end.answer.status;
  }
  if ("answer" in end && (verbose || end.kind !== "accepted")) {
    const { stdout, stderr } = end.answer;
    for (const line of `${stdout}\n${stderr}`.split(/[\r\n]+/)) if (line !== "") say("shoal", visibleLine(line));
  }
  for (const each of kept) sayKept(each);
  // Taken over, as every sendmail takes over what it queues: the caller must not send it again. What nobody knows of is
  // for a person to see.
  if (kept.length > 0) return kept.every(({ state }) => state === "waiting") ? EXIT.ok : EXIT.temporary;
  return "answer" in end ? end.answer.status : EXIT.temporary;
}

function bare(word: string, what: string): string {
  return parseCorrespondent(word, what).address;
}

/** To, Cc and Bcc. @throws FormatError SUBMISSION, RECIPIENT with the line */
function recipientsOf(message: Buffer): string[] {
  const lines = checkLines(message);
  const { fields } = readStrictHeader(lines, 0, lines.length, DEFAULT_LIMITS.headerBytes);
  return fields
    .filter(({ key, value }) => /^(?:to|cc|bcc)$/.test(key) && value !== "")
    .flatMap((field) => parseAddressList(field, { groups: true }))
    .map(({ address }) => printAddress(address));
}
