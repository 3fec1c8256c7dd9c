/** Making a store of a dump, when the ledger has lost its own. */

import type { Readable } from "node:stream";
import { Accounts } from "#core/account/accounts.ts";
import { type RecordFrame, toOperator } from "#core/account/feed.ts";
import { parseProposal } from "#core/account/step.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import { AccountStore, type StoredRecord } from "#host/account-store.ts";
import { unixTime } from "#host/clock.ts";
import { takeLock } from "#host/lock.ts";
import type { LedgerConfig } from "./config.ts";

/**
 * Verifies a whole dump and stores it, all or nothing, with the acceptances that it names.
 * @returns how many records
 * @throws PolicyError USAGE when the store is not empty; as {@link Accounts}; FormatError FEED
 */
export async function restore({ store: path, domain, directory }: LedgerConfig, input: Readable): Promise<number> {
  const lock = takeLock(`${path}.lock`, "shoal-ledger");
  const store = AccountStore.open(path);
  try {
    if (store.records().next().done !== true) {
      throw new PolicyError("USAGE", `"${path}" is not empty`, { hint: "move it away first" });
    }
    const accounts = new Accounts(domain, directory);
    const reader = toOperator();
    const records: StoredRecord[] = [];
    let hasEnded = false;
    for await (const chunk of input as AsyncIterable<Buffer>) {
      for (const frame of reader.push(chunk)) {
        if (hasEnded || (frame.kind !== "record" && frame.kind !== "end")) {
          throw new FormatError("FEED", `a dump does not hold "${frame.kind}" there`);
        }
        if (frame.kind === "end") hasEnded = true;
        else records.push(verified(frame, accounts));
      }
    }
    if (!hasEnded) throw new FormatError("FEED", "the dump is cut off");
    store.append(records);
    return records.length;
  } finally {
    store.close();
    lock.release();
  }
}

function verified({ of, accepted, signed }: RecordFrame, accounts: Accounts): StoredRecord {
  const now = unixTime();
  if (of === "directory") {
    accounts.takeDirectory(signed, accepted, now);
    return { account: null, version: accounts.directory.latest?.record.version ?? 0, accepted, signed };
  }
  const { standing } = accounts.takeState(parseProposal(signed), accepted, now);
  return { account: standing.id, version: standing.state.version, accepted, signed };
}
