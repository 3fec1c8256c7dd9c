/** Sends what the outbox keeps. What may have been sent already is sent again only if a person names it. */

import { complain, say } from "#cli/terminal.ts";
import { visibleLine } from "#cli/visible.ts";
import type { SshOptions } from "#host/ssh.ts";
import type { Places } from "../places.ts";
import { remaindersOf, sentenceOf, type Try, tryToSend } from "./deliver.ts";
import type { Entry, Outbox } from "./outbox.ts";
import { askToSendAnyway, sayProblems } from "./person.ts";

export interface Flushing {
  readonly outbox: Outbox;
  readonly places: Places;
  readonly login: () => Promise<SshOptions>;
  /** Null: all that may be sent without a person's word. */
  readonly numbers: readonly number[] | null;
  /** `never` asks nobody, `anyway` sends knowingly. */
  readonly unprotected: "ask" | "never" | "anyway";
}

export interface FlushResult {
  sent: number;
  /** Still there. */
  left: number;
  /** What ended it before its time. */
  error: unknown;
}

/** @throws HostError BUSY when another process is at it; PolicyError USAGE for a number that is not there */
export async function flushOutbox(flushing: Flushing): Promise<FlushResult> {
  const { outbox, numbers } = flushing;
  const lock = await outbox.lock();
  try {
    await noteInterrupted(outbox);
    const entries = await outbox.list();
    const wanted =
      numbers ?? entries.filter(({ state }) => state === "waiting" || state === "asks").map(({ number }) => number);
    const result: FlushResult = { sent: 0, left: 0, error: undefined };
    if (wanted.length > 0) await sendAll(flushing, wanted, result);
    result.left = (await outbox.list()).length;
    return result;
  } finally {
    lock.release();
  }
}

/** Under the lock nobody is sending: who was, has died over it. */
async function noteInterrupted(outbox: Outbox): Promise<void> {
  for (const { number, state } of await outbox.list()) {
    if (state !== "sending") continue;
    const { entry, message } = await outbox.read(number);
    await outbox.note({ ...entry, state: "unknown", said: "this program was ended while it was sending" }, message);
  }
}

async function sendAll(flushing: Flushing, wanted: readonly number[], result: FlushResult): Promise<void> {
  let target: SshOptions;
  try {
    target = await flushing.login();
  } catch (error) {
    result.error = error;
    return;
  }
  for (const number of wanted) {
    const end = await sendOne(flushing, target, number);
    if (end.kind === "accepted") result.sent += 1;
    if (!("error" in end)) continue;
    // The same would happen to the others.
    result.error = end.error;
    return;
  }
}

async function sendOne(flushing: Flushing, target: SshOptions, number: number): Promise<Try> {
  const { outbox, unprotected } = flushing;
  const { entry, message } = await outbox.read(number);
  const attempt = async (verb: Entry["verb"]): Promise<Try> => {
    // Written first: if this process dies now, nobody can say whether the message has left.
    await outbox.note({ ...entry, state: "sending", tries: entry.tries + 1 }, message);
    return await tryToSend({ target, json: false }, { ...entry, verb }, message);
  };
  let end = await attempt(unprotected === "anyway" ? "send-anyway" : entry.verb);
  if (end.kind === "unprotected" && unprotected === "ask") {
    say("shoal", describe(entry));
    if (askToSendAnyway(end.problems) === true) end = await attempt("send-anyway");
  }
  if (end.kind === "accepted") {
    await outbox.remove(number);
    say("shoal", `sent ${describe(entry)}`);
    return end;
  }
  const said = sentenceOf(end);
  const noted = { ...entry, tries: entry.tries + 1, said };
  await noteRemainders(outbox, noted, message, end);
  say("shoal", `not sent: ${describe(entry)}: ${visibleLine(said)}`);
  if (end.kind === "unprotected") sayProblems(end.problems);
  return end;
}

async function noteRemainders(outbox: Outbox, entry: Entry, message: Buffer, end: Try): Promise<void> {
  const [first, ...others] = remaindersOf(end);
  // First of all: who is not noted twice may be forgotten once.
  for (const { state, recipients } of others) {
    await outbox.add({ ...entry, recipients }, message, state, entry.said, entry.added);
  }
  const isOver = first === undefined && end.kind === "partly";
  if (isOver) await outbox.remove(entry.number);
  else {
    const state =
      first?.state ?? (end.kind === "refused" ? "refused" : end.kind === "unprotected" ? "asks" : "waiting");
    await outbox.note({ ...entry, state, recipients: listed(first?.recipients ?? entry.recipients) }, message);
  }
}

function listed(recipients: readonly string[] | null): string[] | null {
  return recipients === null ? null : [...recipients];
}

/** `3 to bob@example.net "Lunch?"` */
export function describe({ number, to, subject }: Entry): string {
  return visibleLine(`${number}${to === "" ? "" : ` to ${to}`}${subject === "" ? "" : ` "${subject}"`}`);
}

/** What each state means to a person. */
export const STATE_WORDS: Readonly<Record<Entry["state"], string>> = {
  waiting: "waits, and is sent by itself",
  asks: "the way is not protected: is tried again, or sent by --anyway",
  sending: "is being sent, or was when this was interrupted",
  unknown: "may have been sent: is not sent again by itself",
  refused: "was refused",
};

/**
 * For `shoal sync`: sends what waits, and says what else is there. Nothing here fails the caller.
 */
export async function flushInPassing(flushing: Omit<Flushing, "numbers" | "unprotected">): Promise<void> {
  const entries = await flushing.outbox.list();
  if (entries.length === 0) return;
  try {
    const { error } = await flushOutbox({ ...flushing, numbers: null, unprotected: "never" });
    if (error !== undefined) complain("shoal", error);
  } catch (error) {
    complain("shoal", error);
  }
  const left = await flushing.outbox.list();
  const undecided = left.filter(({ state }) => state !== "waiting").length;
  if (left.length === 0) return;
  const decide = undecided > 0 ? `, ${undecided} of them for you to decide on` : "";
  say("shoal", `${left.length} in the outbox${decide}: shoal outbox`);
}
