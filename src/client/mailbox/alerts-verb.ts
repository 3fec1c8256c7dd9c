/** `shoal alerts` */

import type { Verb } from "#cli/command.ts";
import { writeOut } from "#cli/output.ts";
import { say } from "#cli/terminal.ts";
import { visibleJson, visibleLine } from "#cli/visible.ts";
import { PolicyError } from "#core/errors.ts";
import { isAboutOneFile } from "#core/mailbox/finding.ts";
import { EXIT } from "#host/exit.ts";
import { makeFolder } from "#host/files.ts";
import { takeLock } from "#host/lock.ts";
import { AccountMemory } from "../account/memory.ts";
import { localTime } from "../local-time.ts";
import { DEFAULT_PROFILE, type Places } from "../places.ts";
import { loadProfile } from "../profile.ts";
import { type Alert, Alerts } from "./alerts.ts";
import { MailboxState } from "./state.ts";

export const alertsVerb: Verb = {
  help: `usage: shoal alerts [--json] [--profile NAME]
       shoal alerts --acknowledge NUMBER|all [--profile NAME]

What was found wrong with the mailbox, each with what you can do. "shoal sync"
finds it, and it stays on this list until you acknowledge it. What is about one
message is not found again then; what is about the whole mailbox comes back as
long as it lasts.

  --acknowledge NUMBER|all  take one, or all, off the list
  --json                    print one JSON object for each
  --profile NAME            profile to use, default "default"

Exit status: 0 there is nothing, 76 there is something.

Example:
  shoal alerts
  shoal alerts --acknowledge 3
`,
  options: { acknowledge: { type: "string" }, json: { type: "boolean" }, profile: { type: "string" } },
  async run(operands, options) {
    if (operands.length > 0) throw new PolicyError("USAGE", `expected no operands, not "${operands.join(" ")}"`);
    const { profile, places } = await loadProfile(String(options["profile"] ?? DEFAULT_PROFILE));
    const chosen = options["acknowledge"];
    if (chosen !== undefined) {
      await acknowledgeThem(parseChoice(String(chosen)), profile.domain, places);
      return EXIT.ok;
    }
    const alerts = await new Alerts(new MailboxState(places)).list();
    for (const alert of alerts) {
      await writeOut(options["json"] === true ? `${visibleJson(alert)}\n` : inWords(alert));
    }
    if (alerts.length === 0 && options["json"] !== true) say("shoal", "there are no alerts");
    return alerts.length === 0 ? EXIT.ok : EXIT.protocol;
  },
};

function parseChoice(text: string): number | "all" {
  if (text === "all") return "all";
  if (!/^[1-9][0-9]{0,8}$/.test(text)) {
    throw new PolicyError("USAGE", `"${text}" is no number of an alert`, { hint: '"shoal alerts" shows the numbers' });
  }
  return Number(text);
}

async function acknowledgeThem(choice: number | "all", domain: string | undefined, places: Places): Promise<void> {
  await makeFolder(places.state, 0o700);
  const lock = takeLock(places.lock, "shoal sync for this profile");
  try {
    const alerts = new Alerts(new MailboxState(places));
    const { standing } = await new AccountMemory(places, domain ?? null).load();
    const taken = await alerts.acknowledge(choice === "all" ? "all" : new Set([choice]), standing?.id ?? null);
    if (choice !== "all" && taken.length === 0) {
      throw new PolicyError("USAGE", `there is no alert ${choice}`, { hint: '"shoal alerts" shows the numbers' });
    }
    say("shoal", `${taken.length} acknowledged`);
    if (taken.some((alert) => !isAboutOneFile(alert))) {
      say("shoal", "what is about the whole mailbox is found again as long as it lasts");
    }
  } finally {
    lock.release();
  }
}

/** Some lines for a person. */
function inWords({ number, severity, code, text, advice, file, detail, first, last }: Alert): string {
  const times = first === last ? `found ${time(first)}` : `found ${time(first)}, last ${time(last)}`;
  const facts = [...(file === undefined ? [] : [`file "${file}"`]), ...(detail === null ? [] : [detail])];
  const lines = [`${number}  ${code} (${severity}, ${times})`, `   ${text}`, `   do: ${advice}`];
  return [...lines, ...(facts.length === 0 ? [] : [`   ${facts.join(", ")}`])]
    .map((line) => `${visibleLine(line)}\n`)
    .join("");
}

function time(seconds: number): string {
  return localTime(seconds);
}
