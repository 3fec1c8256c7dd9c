/** `shoal verify --bundle`: what a proof bundle proves, by the operator's key alone. */

import { complain, print, say } from "#cli/terminal.ts";
import { visibleJson } from "#cli/visible.ts";
import { parseBundle } from "#core/mailbox/bundle.ts";
import { MAX_TAR_BYTES } from "#core/mailbox/bundle-tar.ts";
import { type Proof, type ProvedEntry, verifyBundle } from "#core/mailbox/bundle-verify.ts";
import { reasonOf } from "#core/mailbox/judge-head.ts";
import { EXIT } from "#host/exit.ts";
import { readBounded } from "#host/files.ts";
import { localTime } from "../local-time.ts";

/**
 * @param rootsFor the operator's keys for a domain, as the reader trusts them
 * @param account null if the reader only wants to be told it
 * @returns exit status: 65 where it is refused, having said why
 */
export async function checkBundle(
  file: string,
  rootsFor: (domain: string) => Promise<ReadonlySet<string>>,
  account: string | null,
  isJson: boolean,
): Promise<number> {
  const bytes = await readBounded(file, MAX_TAR_BYTES);
  const bundle = orRefusal(() => parseBundle(bytes));
  if (bundle === null) return EXIT.data;
  const roots = await rootsFor(bundle.guide.domain);
  const proof = orRefusal(() => verifyBundle(bundle, roots, account));
  if (proof === null) return EXIT.data;
  print(isJson ? `${visibleJson(jsonOf(proof))}\n` : printProof(proof));
  if (account === null && !isJson) {
    say("shoal", "no account was named with --account: compare the id with the one that you were given by other means");
  }
  return EXIT.ok;
}

/** Null where something does not hold, whatever it is: then nothing of the bundle is to be believed. */
function orRefusal<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    reasonOf(error);
    complain("shoal", error);
    say("shoal", "refused: nothing of this proof is to be believed");
    return null;
  }
}

function printProof({ domain, account, head, standing, entries }: Proof): string {
  const lines = [
    `account   ${account} of ${domain}, version ${standing.state.version}`,
    `head      of ${localTime(head.time)}, ${head.last.seq} deliveries, signed by the ledger of ${domain}`,
  ];
  for (const each of entries) lines.push(...describe(each));
  if (entries.length === 0) lines.push("there are no deliveries in it");
  lines.push("result    all of that is proved");
  return `${lines.join("\n")}\n`;
}

function describe({ entry, hasFile, removals }: ProvedEntry): string[] {
  const { seq, time, size, digest } = entry;
  const file = hasFile ? ", the sealed file is in the bundle" : "";
  return [
    `delivery  ${seq}, ${localTime(time)}, ${size} bytes, SHA-256 ${digest}${file}`,
    ...removals.map(({ device, time: when, counts }) => {
      const by = counts ? `device ${device}` : `device ${device}, which was removed from the account since`;
      return `          removed on ${localTime(when)}, says ${by}`;
    }),
  ];
}

function jsonOf({ domain, account, head, signersTime, standing, entries }: Proof): Record<string, unknown> {
  return {
    domain,
    account,
    version: standing.state.version,
    head,
    signersTime,
    entries: entries.map(({ entry, hasFile, removals }) => ({ ...entry, hasFile, removals })),
  };
}
