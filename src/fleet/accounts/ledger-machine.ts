/** The ledger as the operator reaches it: from inside its machine, since no network leads to it. */

import * as v from "valibot";
import {
  FEED_HELLO,
  type Frame,
  printFrame,
  type RecordFrame,
  type ReplyFrame,
  toOperator,
} from "#core/account/feed.ts";
import { FormatError, HostError } from "#core/errors.ts";
import { execInCell } from "#fleet/cell/cell.ts";
import { ledgerConfig } from "#fleet/roles/ledger.ts";

/** What a dump may hold: all accounts that a fleet can have, with some hundred versions each. */
const MAX_DUMP_BYTES = 1024 * 1024 * 1024;
const TIMEOUT_SECONDS = 600;

export interface Submission {
  readonly of: "directory" | "state";
  readonly signed: Buffer;
}

export interface Reply {
  /** `ACCEPTED`, or the code of an error. */
  readonly code: string;
  readonly text: string;
}

export interface MachineStanding {
  readonly machine: string;
  /** Has taken all that the ledger has. */
  readonly isCurrent: boolean;
  /** Why not: that it is away, what it lacks, or what it refuses. */
  readonly why: string;
}

export class LedgerMachine {
  readonly #network: string;
  readonly #machine: string;

  constructor(network: string, machine: string) {
    this.#network = network;
    this.#machine = machine;
  }

  /** Everything that it has, directory first, unverified. @throws HostError EXEC; FormatError FEED */
  async dump(): Promise<RecordFrame[]> {
    return recordsOf(toOperator().push(await this.#call("dump")));
  }

  /** Hands in records in their order; gives an answer for each. @throws HostError EXEC; FormatError FEED */
  async submit(submissions: readonly Submission[]): Promise<Reply[]> {
    const frames = submissions.map(({ of, signed }): Frame => ({ kind: "submit", of, signed }));
    const answers = toOperator().push(await this.#call("submit", frames));
    const replies = answers.flatMap((frame) => (frame.kind === "reply" ? [frame] : []));
    if (replies.length !== submissions.length) {
      throw new HostError("EXEC", `the ledger answered ${replies.length} of ${submissions.length} records`, {
        hint: "hand them in again: what it has already, it says so",
      });
    }
    return replies;
  }

  /** How far each machine is. @throws HostError EXEC; FormatError FEED */
  async standings(): Promise<MachineStanding[]> {
    return parseStatus(JSON.parse((await this.#call("status")).toString("utf8")));
  }

  async #call(verb: string, frames: readonly Frame[] = []): Promise<Buffer> {
    const command = ["node", "/usr/lib/shoal/shoal-ledger.mjs", verb, ledgerConfig];
    const { status, stdout, stderr } = await execInCell(this.#network, this.#machine, command, {
      input: Buffer.concat([Buffer.from(`${FEED_HELLO}\n`), ...frames.map(printFrame)]),
      timeoutSeconds: TIMEOUT_SECONDS,
      maxOutputBytes: MAX_DUMP_BYTES,
    });
    // Of what is submitted, something was refused: the answers say what.
    if (status === 0 || (verb === "submit" && status === 1 && stdout.length > 0)) return stdout;
    throw new HostError("EXEC", `the ledger is away: ${stderr.trim().slice(-500)}`, {
      hint: "`shoalctl status` shows what runs, `shoalctl logs ledger` why not",
    });
  }
}

/** The records of a dump. @throws HostError EXEC when it has no end */
export function recordsOf(frames: readonly ReplyFrame[]): RecordFrame[] {
  if (frames.at(-1)?.kind !== "end") throw new HostError("EXEC", "a dump was cut off");
  return frames.flatMap((frame) => (frame.kind === "record" ? [frame] : []));
}

const statusSchema = v.object({
  machines: v.array(
    v.object({
      machine: v.string(),
      connected: v.boolean(),
      behind: v.nullable(v.number()),
      forked: v.array(v.string()),
      ahead: v.array(v.string()),
      refused: v.number(),
      lastRefusal: v.nullable(v.object({ code: v.string(), text: v.string() })),
    }),
  ),
});

/** Reads what `shoal-ledger status` prints. @throws FormatError FEED */
export function parseStatus(status: unknown): MachineStanding[] {
  const result = v.safeParse(statusSchema, status);
  if (!result.success) throw new FormatError("FEED", "the ledger's status is not what was expected");
  return result.output.machines.map(({ machine, connected, behind, forked, ahead, refused, lastRefusal }) => {
    const why = [
      ...(connected ? [] : ["not connected"]),
      ...(behind === null || behind > 0 ? [`${behind ?? "all"} behind`] : []),
      ...(forked.length > 0 ? [`FORK of ${forked.join(", ")}`] : []),
      ...(ahead.length > 0 ? [`ahead with ${ahead.join(", ")}`] : []),
      ...(refused > 0 ? [`refuses ${refused}, the last with ${lastRefusal?.code}: ${lastRefusal?.text}`] : []),
    ];
    return { machine, isCurrent: why.length === 0, why: why.join(", ") };
  });
}
