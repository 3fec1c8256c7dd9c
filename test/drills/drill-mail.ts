/** The mails of a drill: each says who it is, who wants it is known, and what arrived is held against what was sent. */

import type { Chance } from "#test/drills/chance.ts";
import type { Envelope } from "#test/world/send.ts";
import { type Stranger, strangers } from "#test/world/world.ts";

export interface DrillMail {
  /** Unique; stands in Message-ID, subject and body. */
  id: string;
  stranger: Stranger;
  envelope: Envelope;
  /** CRLF line ends. */
  message: Buffer;
  /** Accounts that must get it once. */
  wanted: readonly string[];
}

const domain = "shoal.example";
const smallestBytes = 500;
const largestBytes = 60_000;

/** Local parts of the recipients, and who wants the mail: most go to one, some to both, some name one person twice. */
const ways: readonly (readonly [to: readonly string[], wanted: readonly string[]])[] = [
  [["alice"], ["alice"]],
  [["alice"], ["alice"]],
  [["bob"], ["bob"]],
  [["bob"], ["bob"]],
  [["alice+shop"], ["alice"]],
  [["bob+list.a"], ["bob"]],
  [
    ["alice", "bob"],
    ["alice", "bob"],
  ],
  [
    ["bob", "alice+both"],
    ["alice", "bob"],
  ],
  [["alice", "alice"], ["alice"]],
  [["bob", "bob+again"], ["bob"]],
  [
    ["alice", "bob", "alice", "bob+x", "alice+x"],
    ["alice", "bob"],
  ],
];

/** Mails with all ways of naming recipients, about half of them from each stranger. */
export function drillMails(count: number, chance: Chance): DrillMail[] {
  return Array.from({ length: count }, (_, number) => {
    const stranger = chance.pick(strangers);
    const id = `drill-${String(number).padStart(4, "0")}-${chance.fraction().toString(36).slice(2, 8)}`;
    const [to, wanted] = chance.pick(ways);
    return {
      id,
      stranger,
      envelope: { from: `ada@${stranger.domain}`, to: to.map((local) => `${local}@${domain}`) },
      message: message(id, stranger, Math.round(chance.magnitude(smallestBytes, largestBytes)), chance),
      wanted,
    };
  });
}

function message(id: string, stranger: Stranger, bytes: number, chance: Chance): Buffer {
  const lines = [
    "Date: Sun, 22 Nov 2026 02:00:00 +0000",
    `From: Ada <ada@${stranger.domain}>`,
    `To: undisclosed-recipients:;`,
    `Message-ID: <${id}@${stranger.domain}>`,
    `Subject: ${id}`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=us-ascii",
    "",
    `This is ${id}.`,
  ];
  for (let length = lines.join("\r\n").length; length < bytes; ) {
    // Words of letters, and now and then a line that SMTP must protect.
    const words = Array.from({ length: 9 }, () => chance.fraction().toString(36).slice(2, 8));
    const line = chance.fraction() < 0.02 ? chance.pick([".", "..", "From here", ""]) : words.join(" ");
    lines.push(line);
    length += line.length + 2;
  }
  return Buffer.from(`${lines.join("\r\n")}\r\nThat was ${id}.\r\n`, "latin1");
}

/**
 * Holds the files of one Maildir against what was wanted.
 * @param mayMiss tells mails that need not have come, because whoever sent them never had them accepted
 * @returns every difference in words: a mail missing, stored more than once, changed, or not wanted
 */
export function differences(
  person: string,
  mails: readonly DrillMail[],
  files: readonly Buffer[],
  mayMiss: (mail: DrillMail) => boolean = () => false,
): string[] {
  const sent = new Map(mails.map((mail) => [mail.id, mail]));
  const times = new Map<string, number>();
  const found: string[] = [];
  for (const file of files) {
    const id = /^Subject: (.*)$/m.exec(file.toString("latin1"))?.[1] ?? "";
    const mail = sent.get(id);
    if (mail === undefined) {
      found.push(`${person} got a mail that nobody sent: ${JSON.stringify(file.toString("latin1").slice(0, 1000))}`);
      continue;
    }
    if (!mail.wanted.includes(person)) found.push(`${person} got ${id}, which was for ${mail.wanted.join()}`);
    // Machines on the way put fields in front; what was sent follows unchanged to the last byte.
    const original = Buffer.from(mail.message.toString("latin1").replaceAll("\r\n", "\n"), "latin1");
    const start = file.length - original.length;
    if (start < 0 || !file.subarray(start).equals(original)) found.push(`${person} got ${id} changed`);
    times.set(id, (times.get(id) ?? 0) + 1);
  }
  for (const mail of mails) {
    const { id, wanted, stranger, envelope } = mail;
    const count = times.get(id) ?? 0;
    if (!wanted.includes(person) || count === 1 || (count === 0 && mayMiss(mail))) continue;
    found.push(`${person} got ${id} ${count} times (from ${stranger.machine} to ${envelope.to.join()})`);
  }
  return found;
}
