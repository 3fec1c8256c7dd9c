/** The deliveries that a person means: by mail of the Maildir, by number of entry, or by digest. */

import { basename, sep } from "node:path";
import { PolicyError } from "#core/errors.ts";
import type { Entry } from "#core/mailbox/entry.ts";
import type { StoredMail } from "../maildir-reader.ts";
import { findMail } from "../maildir-reader.ts";

export const CHOICE_HELP = `  NUMBER          of a mail, as "shoal list" shows it
  ID              of a mail: the first characters of its digest
  FILE            of a mail in the Maildir
  @NUMBER         of a delivery, as alerts and "shoal verify" name it`;

const HINT = '"shoal verify --json" shows all deliveries that the server keeps on its list';

/**
 * @param live all that there are, by number
 * @param readMails the Maildir; asked only where a number of it is given
 * @returns by number, each once
 * @throws PolicyError USAGE for what names none, or more than one
 */
export async function chooseEntries(
  wanted: readonly string[],
  live: readonly Entry[],
  readMails: () => Promise<readonly StoredMail[]>,
): Promise<Entry[]> {
  const chosen = new Map<number, Entry>();
  for (const each of wanted) {
    const entry = await chooseOne(each, live, readMails);
    chosen.set(entry.seq, entry);
  }
  return [...chosen.values()].sort((a, b) => a.seq - b.seq);
}

async function chooseOne(
  wanted: string,
  live: readonly Entry[],
  readMails: () => Promise<readonly StoredMail[]>,
): Promise<Entry> {
  if (/^@[0-9]{1,15}$/.test(wanted)) {
    return expectOne(
      live.filter(({ seq }) => seq === Number(wanted.slice(1))),
      `delivery ${wanted.slice(1)}`,
    );
  }
  const inFileName = wanted.includes(sep) ? /^([0-9a-f]{64})\.(?:shoal|age)/.exec(basename(wanted))?.[1] : undefined;
  if (wanted.includes(sep) && inFileName === undefined) {
    throw new PolicyError("USAGE", `"${wanted}" is not a file that shoal has stored`, {
      hint: "their names begin with 64 hex digits",
    });
  }
  if (/^[0-9]{1,9}$/.test(wanted)) {
    const { id, number } = findMail(await readMails(), wanted);
    return expectOne(
      live.filter(({ digest }) => digest === id),
      `mail ${number}`,
    );
  }
  const start = inFileName ?? wanted.toLowerCase().replace(/\.age$/, "");
  if (!/^[0-9a-f]{4,64}$/.test(start)) {
    throw new PolicyError(
      "USAGE",
      `"${wanted}" names no mail, expected a number, @NUMBER, a file or 4 hex digits or more`,
    );
  }
  return expectOne(
    live.filter(({ digest }) => digest.startsWith(start)),
    `"${wanted}"`,
  );
}

function expectOne(found: readonly Entry[], what: string): Entry {
  const [entry, ...more] = found;
  if (entry === undefined) {
    throw new PolicyError("USAGE", `${what} is not among the deliveries that the server keeps`, { hint: HINT });
  }
  if (more.length > 0) {
    throw new PolicyError("USAGE", `${what} fits ${found.length} deliveries`, { hint: "give more of the digest" });
  }
  return entry;
}
