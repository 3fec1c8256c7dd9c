/** One message on its way: handed over, asked about, or kept in the outbox. What the server answered decides. */

import { HostError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import type { SshOptions } from "#host/ssh.ts";
import type { Places } from "../places.ts";
import type { Profile } from "../profile.ts";
import { judgeAnswer, type Verdict } from "./answer-of-out.ts";
import { type Errand, handOver, printErrand } from "./hand-over.ts";
import { Outbox } from "./outbox.ts";

/** How a try ended. */
export type Try =
  | (Verdict & { readonly answer: Answer })
  /** The connection was lost when the message may have been there. */
  | { readonly kind: "lost"; readonly error: HostError }
  | { readonly kind: "not-sent"; readonly error: Error };

/** What the server said, as it came. */
export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Dispatch {
  readonly profile: Profile;
  readonly target: SshOptions;
  readonly places: Places;
  /** Lines that programs read. */
  readonly json: boolean;
}

/** Hands a message over once. */
export async function tryToSend(
  { target, json }: Pick<Dispatch, "target" | "json">,
  errand: Errand,
  message: Buffer,
): Promise<Try> {
  const outcome = await handOver(target, printErrand(errand, json, message.length), message);
  if (outcome.kind === "not-sent") return outcome;
  if (outcome.kind === "unknown") return { kind: "lost", error: outcome.error };
  const { status, stdout, stderr } = outcome;
  const answer = { status, stdout, stderr };
  return { ...judgeAnswer(status, `${stdout}\n${stderr}`), answer };
}

/** Where a message is kept that was not accepted. */
export interface Kept {
  readonly number: number;
  readonly state: "waiting" | "unknown";
  readonly why: string;
  /** Null: all that it is for. */
  readonly recipients: readonly string[] | null;
}

/** Keeps what could not be handed over for now; what the server or the person said no to is not kept. */
export async function keepUnsent({ places }: Dispatch, errand: Errand, message: Buffer, end: Try): Promise<Kept[]> {
  const why = sentenceOf(end);
  const kept: Kept[] = [];
  for (const { state, recipients } of remaindersOf(end)) {
    const rest = recipients === null ? errand : { ...errand, recipients };
    const { number } = await new Outbox(places.outbox).add(rest, message, state, why, unixTime());
    kept.push({ number, state, why, recipients });
  }
  return kept;
}

export interface Remainder {
  readonly state: "waiting" | "unknown";
  /** Null: all that the message is for. */
  readonly recipients: readonly string[] | null;
}

/** What is left to do after a try, if anything: what may have been sent is apart from what surely was not. */
export function remaindersOf(end: Try): Remainder[] {
  if (end.kind === "temporary") return [{ state: "waiting", recipients: null }];
  if (end.kind === "unclear" || end.kind === "lost") return [{ state: "unknown", recipients: null }];
  if (end.kind === "partly") {
    const all: Remainder[] = [
      { state: "waiting", recipients: end.notSent },
      { state: "unknown", recipients: end.perhaps },
    ];
    return all.filter(({ recipients }) => recipients?.length !== 0);
  }
  // A login that is refused, or a machine that is not the one it should be, is for the person to see at once.
  const isNetwork = end.kind === "not-sent" && end.error instanceof HostError && end.error.code === "NETWORK";
  return isNetwork ? [{ state: "waiting", recipients: null }] : [];
}

const MAX_SENTENCE = 500;

/** The first thing that was said, in one line. */
export function sentenceOf(end: Try): string {
  if ("error" in end) return end.error.message;
  const { status, stdout, stderr } = end.answer;
  const [line] = `${stderr}\n${stdout}`.split(/[\r\n]+/).filter((each) => each.trim() !== "");
  return (line ?? `exit status ${status}, without a word`).slice(0, MAX_SENTENCE);
}
