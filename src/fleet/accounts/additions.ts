/** Accounts to be added: names with the first states that their owners have signed. */

import { dirname, resolve } from "node:path";
import { MAX_STATE_BYTES } from "#core/account/state.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import type { Fleet } from "#fleet/definition/definition.ts";
import { readBounded } from "#host/files.ts";

export interface Addition {
  readonly name: string;
  /** Body and signatures of version 1. */
  readonly genesis: Buffer;
  readonly quotaBytes: number;
  /** Number of a `fetch` machine. */
  readonly fetch: number;
}

/** Signatures of a first state are small; their limits are the parser's. */
const MAX_FILE_BYTES = MAX_STATE_BYTES * 4;
const MAX_LIST_BYTES = 64 * 1024 * 1024;
/** 1000 GB, as in the definition. */
const MAX_QUOTA_BYTES = 1000 * 1000 ** 3;

/** A signed state from a file. @throws FormatError STATE, SIGNED, TOO-LARGE */
export async function readSignedState(file: string): Promise<Buffer> {
  const signed = await readBounded(file, MAX_FILE_BYTES);
  parseProposal(signed);
  return signed;
}

/**
 * Reads a list of additions: lines `NAME FILE [QUOTA-BYTES [FETCH]]`; files are found from the list's own folder.
 * @throws FormatError CONFIG with the line
 */
export async function readAdditions(listFile: string, fleet: Fleet): Promise<Addition[]> {
  const text = (await readBounded(listFile, MAX_LIST_BYTES)).toString("utf8");
  const additions: Addition[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const [name = "", file = "", quota, fetch, ...rest] = line.split(" ");
    if (file === "" || rest.length > 0 || !isNumber(quota) || !isNumber(fetch)) {
      throw new FormatError("CONFIG", `${listFile}:${index + 1}: expected "NAME FILE [QUOTA-BYTES [FETCH]]"`);
    }
    const quotaBytes = quota === undefined ? fleet.limits.quotaBytes : Number(quota);
    const place = placeIn(fleet, quotaBytes, fetch === undefined ? null : Number(fetch));
    additions.push({ name, genesis: await readSignedState(resolve(dirname(listFile), file)), ...place });
  }
  return additions;
}

function isNumber(text: string | undefined): boolean {
  return text === undefined || /^[1-9][0-9]{0,14}$/.test(text);
}

/** Where an account goes and how much it may hold. @throws PolicyError USAGE */
export function placeIn(
  fleet: Fleet,
  quotaBytes: number,
  fetch: number | null,
): Pick<Addition, "fetch" | "quotaBytes"> {
  const machines = fleet.roles.fetch;
  if (fetch === null && machines > 1) {
    throw new PolicyError("USAGE", `no fetch machine named, expected --fetch with 1 to ${machines}`);
  }
  const number = fetch ?? 1;
  if (number < 1 || number > machines) {
    throw new PolicyError("USAGE", `there is no fetch machine ${number}, expected 1 to ${machines}`);
  }
  const { messageBytes } = fleet.limits;
  if (quotaBytes < messageBytes || quotaBytes > MAX_QUOTA_BYTES) {
    throw new PolicyError("USAGE", `a quota of ${quotaBytes} bytes, expected ${messageBytes} to ${MAX_QUOTA_BYTES}`, {
      hint: "a mailbox holds at least one of the largest messages",
    });
  }
  return { quotaBytes, fetch: number };
}
