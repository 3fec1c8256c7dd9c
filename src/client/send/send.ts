/** `shoal send` */

import type { OptionValues, Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { say } from "#cli/terminal.ts";
import { visibleJson, visibleLine, visibleText } from "#cli/visible.ts";
import { PolicyError } from "#core/errors.ts";
import { EXIT } from "#host/exit.ts";
import { explainRefusedLogin } from "../account/check-at-sync.ts";
import { DEFAULT_PROFILE } from "../places.ts";
import { loadProfile } from "../profile.ts";
import { type Answer, type Dispatch, type Kept, keepUnsent, type Try, tryToSend } from "./deliver.ts";
import type { Errand } from "./hand-over.ts";
import { outTarget } from "./out-login.ts";
import { askToSendAgain, askToSendAnyway, sayProblems } from "./person.ts";
import { leadNowhere } from "./problems-in-words.ts";
import { readAgain } from "./read-again.ts";
import { readDraft } from "./read-draft.ts";
import { withSenderStatus } from "./sender-status.ts";

export const sendVerb: Verb = withSenderStatus({
  help: `usage: shoal send [OPTION]... [FILE|-]
       shoal send --to ADDRESS... [--subject TEXT] --body TEXT|- [--attach FILE]...
       shoal send --again FILE [--anyway]

Sends a message: a whole one from a file or standard input, or one that is made
of options. The server says first how well the way to each domain is protected.
If it is not, you are asked, on a terminal; without one nothing is sent.

  --to, --cc, --bcc ADDRESS
                  whom it goes to, repeatable; of a message that is made, also
                  NAME <ADDRESS>. With a whole message they are all that it
                  goes to; without them, those that it names.
  --from ADDRESS  your address to send from, default your account's; with a
                  whole message, where bounces go
  --subject TEXT  subject of the message to make
  --body TEXT     its text; "-" reads it from standard input
  --attach FILE   a file to go with it, repeatable
  --again FILE    send the mail again that the notice in FILE, of your Maildir,
                  gives back, to just those whom it did not reach; on a
                  terminal you are shown it and asked
  --anyway        send it also where the way is not protected
  --strict        ask nobody: do not send it where the way is not protected
  --json          print what the server says for programs, and what is kept:
                  one JSON object a line
  --profile NAME  profile to use, default "default"

What can't be handed over because of the network or a server that fails for now
is kept in the outbox, see "shoal outbox --help".

Exit status: 0 accepted, 64 the command is wrong, 65 the message is malformed,
67 an address is wrong, 75 not sent for now: it says whether it is kept, 77 not
allowed.

Example:
  shoal send --to bob@example.net --subject Lunch? --body "At noon?"
  shoal send letter.eml
`,
  options: {
    to: { type: "string", multiple: true },
    cc: { type: "string", multiple: true },
    bcc: { type: "string", multiple: true },
    from: { type: "string" },
    subject: { type: "string" },
    body: { type: "string" },
    attach: { type: "string", multiple: true },
    again: { type: "string" },
    anyway: { type: "boolean" },
    strict: { type: "boolean" },
    json: { type: "boolean" },
    profile: { type: "string" },
  },
  async run(operands, options) {
    if (options["anyway"] === true && options["strict"] === true) {
      throw new PolicyError("USAGE", "--anyway and --strict contradict each other");
    }
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const again = options["again"] === undefined ? null : await readAgain(operands, options);
    if (again !== null && askToSendAgain(again.shown) === false) {
      say("shoal", "nothing was sent");
      return EXIT.ok;
    }
    const { message, envelopeFrom, recipients } = again ?? (await readDraft(profile, operands, options));
    const errand: Errand = { verb: options["anyway"] === true ? "send-anyway" : "send", envelopeFrom, recipients };
    const dispatch = { profile, target: await outTarget(profile, places), places, json: options["json"] === true };
    return await send(dispatch, errand, message, options);
  },
});

async function send(dispatch: Dispatch, errand: Errand, message: Buffer, options: OptionValues): Promise<number> {
  const end = await tryToSend(dispatch, errand, message);
  const mayAsk = options["strict"] !== true && !dispatch.json;
  if (end.kind !== "unprotected" || !mayAsk) return await report(dispatch, errand, message, end);
  const isWanted = askToSendAnyway(end.problems);
  if (isWanted === null) return await report(dispatch, errand, message, end);
  if (!isWanted) {
    say("shoal", "nothing was sent");
    return end.answer.status;
  }
  const knowingly: Errand = { ...errand, verb: "send-anyway" };
  return await report(dispatch, knowingly, message, await tryToSend(dispatch, knowingly, message));
}

async function report(dispatch: Dispatch, errand: Errand, message: Buffer, end: Try): Promise<number> {
  const { json } = dispatch;
  const kept = await keepUnsent(dispatch, errand, message, end);
  if (end.kind === "not-sent" && kept.length === 0) {
    throw await explainRefusedLogin(end.error, dispatch.profile, dispatch.places);
  }
  if (end.kind === "unprotected") {
    // The server's grades are for programs; its words are said in ours.
    await passOn({ ...end.answer, stderr: "" }, json);
    if (!json) sayProblems(end.problems);
    say("shoal", leadNowhere(end.problems) ? "nothing was sent" : "nothing was sent; --anyway sends it knowingly");
    return end.answer.status;
  }
  if ("answer" in end) await passOn(end.answer, json);
  for (const each of kept) {
    if (json) await writeOut(`${visibleJson({ result: each.state === "waiting" ? "kept" : "unknown", ...each })}\n`);
    sayKept(each);
  }
  return "answer" in end && end.kind !== "unclear" ? end.answer.status : EXIT.temporary;
}

/** The server's words, where they belong. */
export async function passOn({ stdout, stderr }: Answer, json: boolean): Promise<void> {
  if (stdout !== "") await writeOut(json ? stdout.split("\n").map(visibleLine).join("\n") : visibleText(stdout));
  for (const line of stderr.split(/\r?\n/).filter((each) => each !== "")) say("shoal", visibleLine(line));
}

/** Where a message that was not accepted is now. */
export function sayKept({ number, state, why, recipients }: Kept): void {
  const whom = recipients === null ? "" : ` to ${recipients.join(", ")}`;
  if (state === "waiting") {
    say("shoal", visibleLine(`not sent for now${whom}: ${why}`));
    say("shoal", `kept in the outbox as number ${number}: "shoal sync" and "shoal outbox flush" send it`);
    return;
  }
  say("shoal", visibleLine(`it may have been sent${whom}, or not: ${why}`));
  say("shoal", `kept in the outbox as number ${number}, and not sent again by itself: "shoal outbox --help" says more`);
}
