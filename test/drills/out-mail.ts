/** The mails of a drill of the way out: what their sender was told is held against what arrived. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Chance } from "#test/drills/chance.ts";

export interface OutMail {
  /** Unique; stands in the subject and in the body. */
  readonly id: string;
  readonly verb: "send" | "send-anyway";
  readonly to: readonly string[];
  /** LF line ends. */
  readonly message: string;
}

/** What its sender knows of a mail to somebody. `unknown`: it may have left, or not. */
export type Fate = "accepted" | "refused" | "unknown";

/** Recipient -> fate. */
export type Fates = ReadonlyMap<string, Fate>;

export const people = {
  trusted: "carol@post.example",
  untrusted: "ada@exim.example",
  internal: "bob@shoal.example",
  /** Her server says that there is no such user. */
  nobody: "nobody@post.example",
} as const;

const { trusted, untrusted, internal, nobody } = people;
const ways: readonly (readonly [OutMail["verb"], readonly string[]])[] = [
  ["send", [trusted]],
  ["send", [trusted]],
  ["send-anyway", [trusted]],
  ["send-anyway", [untrusted]],
  ["send-anyway", [untrusted]],
  ["send-anyway", [trusted, untrusted]],
  ["send", [internal]],
  ["send-anyway", [internal, untrusted]],
  ["send-anyway", [nobody]],
];

export function outMails(count: number, chance: Chance): OutMail[] {
  return Array.from({ length: count }, (_, number) => {
    const id = `out-${String(number).padStart(4, "0")}-${chance.fraction().toString(36).slice(2, 8).padEnd(6, "0")}`;
    const [verb, to] = chance.pick(ways);
    return { id, verb, to, message: message(id, to, Math.round(chance.magnitude(300, 40_000)), chance) };
  });
}

function message(id: string, to: readonly string[], bytes: number, chance: Chance): string {
  const lines = [`From: alice@shoal.example`, `To: ${to.join(", ")}`, `Subject: ${id}`, "", `This is ${id}.`];
  for (let length = lines.join("\n").length; length < bytes; ) {
    const words = Array.from({ length: 9 }, () => chance.fraction().toString(36).slice(2, 8));
    const line = chance.fraction() < 0.02 ? chance.pick([".", "..", "From here", ""]) : words.join(" ");
    lines.push(line);
    length += line.length + 1;
  }
  return `${lines.join("\n")}\nThat was ${id}.\n`;
}

export interface Said {
  /** Of ssh; null when it was killed. */
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/**
 * What the sender may conclude (src/roles/out/submit.8.md).
 * @returns null for an answer that no honest mail should get
 */
export function fatesOf({ to }: Pick<OutMail, "to">, { status, out, err }: Said): Fates | null {
  const all = (fate: Fate): Fates => new Map(to.map((address) => [address, fate]));
  if (status === 0) return all("accepted");
  // What ssh says of itself, and what a shell says of one that was killed.
  if (status === null || status === 255 || status > 128) return all("unknown");
  if (status !== 75) return null;
  const partly = new Map<string, Fate>();
  for (const [, what = "", addresses = ""] of out.matchAll(/^(accepted for|perhaps sent to|not sent to): (.*)$/gm)) {
    const fate = what === "accepted for" ? "accepted" : what === "not sent to" ? "refused" : "unknown";
    for (const address of addresses.split(" ")) partly.set(address, fate);
  }
  if (partly.size > 0) return partly;
  return all(/may have left/.test(err) ? "unknown" : "refused");
}

/**
 * Sends mails in their order, some at a time, the first `count` spread over that time, and the others while `goesOn`. What is not
 * accepted is not sent again.
 */
export async function sendAll(
  mails: readonly OutMail[],
  options: {
    count: number;
    atOnce: number;
    seconds: number;
    goesOn: () => boolean;
    send: (mail: OutMail) => Promise<Said>;
  },
): Promise<Map<OutMail, Said>> {
  const answers = new Map<OutMail, Said>();
  const start = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let mail = mails[next++]; mail !== undefined; mail = mails[next++]) {
      if (answers.size >= options.count && !options.goesOn()) return;
      const due = start + (answers.size / options.count) * options.seconds * 1000;
      await sleep(Math.max(0, due - performance.now()));
      answers.set(mail, await options.send(mail));
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, work));
  return answers;
}

export interface Arrivals {
  /** Recipient -> the files that came, LF line ends. */
  readonly mails: ReadonlyMap<string, readonly Buffer[]>;
  /** Notices that the sender got. */
  readonly notices: readonly Buffer[];
}

export interface Outcome {
  /** Every difference in words. */
  readonly wrong: string[];
  /**
   * Mails that came again because smtpd had not noted that they had: SMTP can't do without (RFC 1047). Each copy has the same
   * Message-ID.
   */
  readonly again: string[];
  /** Mail and recipient of which a notice told. */
  readonly bounced: number;
}

interface Found {
  /** Numbers that smtpd gave the mail: two mean that it was handed to smtpd twice. */
  readonly numbers: string[];
  readonly messageIds: Set<string>;
}

/** Accepted is delivered once, or bounced once; refused is neither; of what is unknown no more than one arrives. */
export function outcomeOf(fates: ReadonlyMap<OutMail, Fates>, { mails, notices }: Arrivals): Outcome {
  const wrong: string[] = [];
  const again: string[] = [];
  const known = new Map([...fates.keys()].map((mail) => [mail.id, mail]));
  const found = new Map<string, Found>();
  for (const [address, files] of mails) {
    for (const file of files) {
      const text = file.toString("latin1");
      const mail = known.get(/^Subject: (.*)$/m.exec(text)?.[1] ?? "");
      if (mail === undefined || !mail.to.includes(address)) {
        wrong.push(`${address} got what was not for it: ${JSON.stringify(text.slice(0, 500))}`);
        continue;
      }
      if (bodyOf(text) !== bodyOf(mail.message)) wrong.push(`${address} got ${mail.id} changed`);
      const key = `${mail.id} ${address}`;
      const one = found.get(key) ?? { numbers: [], messageIds: new Set() };
      one.numbers.push(/\sby out\.mail\.\S+ \(OpenSMTPD\) with \S+ id ([0-9a-f]{8})/.exec(text)?.[1] ?? "none");
      one.messageIds.add(/^Message-ID: (.*)$/im.exec(text)?.[1] ?? "");
      found.set(key, one);
    }
  }
  const told = new Map<string, number>();
  for (const notice of notices) {
    const text = notice.toString("latin1");
    const id = /^Subject: (out-\S+)$/m.exec(text)?.[1] ?? "";
    if (!known.has(id)) wrong.push(`a notice of nothing: ${JSON.stringify(text.slice(0, 1000))}`);
    for (const [, address] of text.matchAll(/^Final-Recipient: rfc822; ?(\S+)$/gim)) {
      const key = `${id} ${address}`;
      told.set(key, (told.get(key) ?? 0) + 1);
    }
  }
  for (const [{ id, to }, fate] of fates) {
    for (const address of to) {
      const key = `${id} ${address}`;
      const { numbers, messageIds } = found.get(key) ?? { numbers: [], messageIds: new Set<string>() };
      const times = new Set(numbers).size;
      const notes = told.get(key) ?? 0;
      const what = `${id} to ${address}, ${fate.get(address) ?? "untold"},`;
      if (times + notes > 1 || messageIds.size > 1) wrong.push(`${what} came ${times} times, ${notes} notices`);
      if (fate.get(address) === "accepted" && times + notes === 0) wrong.push(`${what} is lost`);
      if (fate.get(address) === "refused" && times + notes > 0) wrong.push(`${what} came all the same`);
      if (address === nobody && times > 0) wrong.push(`${what} arrived where there is nobody`);
      if (numbers.length > times) again.push(key);
    }
  }
  return { wrong, again, bounced: told.size };
}

function bodyOf(message: string): string {
  return message.slice(message.indexOf("\n\n") + 2).trimEnd();
}
