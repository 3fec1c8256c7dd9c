/** The ledger as the operator reaches it: from inside its machine, since no network leads to it. */

import * as v from "valibot";
import { FEED_HELLO, printFrame, type RecordFrame, type ReplyFrame, toOperator } from "#core/account/feed.ts";
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

/** The key that signs mailboxes, as `shoal-ledger signer` tells it. */
export interface SignerReport {
  /** `TYPE BASE64` */
  readonly publicKey: string;
  /** Unix seconds; null if no list that counts names it. */
  readonly listedUntil: number | null;
  /** The signed list that it has, unverified; null before the first. */
  readonly list: Buffer | null;
}

/** Of `shoal-ledger status`, what it says of mailboxes. */
export interface MailboxesStanding {
  readonly accounts: number;
  /** That have a chain. */
  readonly mailboxes: number;
  readonly signer: { readonly publicKey: string; readonly listedUntil: number | null };
  /** Accounts whose chain the ledger has lost, some of them, and how many there are. */
  readonly lost: readonly string[];
  readonly lostCount: number;
  readonly machines: readonly {
    readonly machine: string;
    readonly connected: boolean;
    readonly mailboxes: number;
    /** Mailboxes with something to be written, and those of them whose last try failed. */
    readonly pending: number;
    readonly failed: number;
    readonly lastFailure: { readonly account: string; readonly text: string; readonly time: number } | null;
  }[];
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
    const frames = submissions.map(({ of, signed }) => printFrame({ kind: "submit", of, signed }));
    const input = Buffer.concat([Buffer.from(`${FEED_HELLO}\n`), ...frames]);
    const answers = toOperator().push(await this.#call("submit", input));
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

  /** How the mailboxes are. @throws HostError EXEC; FormatError FEED */
  async mailboxes(): Promise<MailboxesStanding> {
    return parseMailboxes(JSON.parse((await this.#call("status")).toString("utf8")));
  }

  /** The key that signs mailboxes. @throws HostError EXEC; FormatError FEED */
  async signer(): Promise<SignerReport> {
    return parseSigner(JSON.parse((await this.#call("signer")).toString("utf8")));
  }

  /** Hands in a signed list of the keys that sign mailboxes. @throws HostError EXEC */
  async certify(signed: Buffer): Promise<Reply> {
    const [code = "", ...words] = (await this.#call("certify", signed)).toString("utf8").trim().split(" ");
    return { code, text: words.join(" ") };
  }

  async #call(verb: string, input: Buffer = Buffer.alloc(0)): Promise<Buffer> {
    const command = ["node", "/usr/lib/shoal/shoal-ledger.mjs", verb, ledgerConfig];
    const { status, stdout, stderr } = await execInCell(this.#network, this.#machine, command, {
      input,
      timeoutSeconds: TIMEOUT_SECONDS,
      maxOutputBytes: MAX_DUMP_BYTES,
    });
    // Something of what was handed in was refused: the answers say what.
    const isHandedIn = verb === "submit" || verb === "certify";
    if (status === 0 || (isHandedIn && status === 1 && stdout.length > 0)) return stdout;
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

const time = v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const signerSchema = v.object({ publicKey: v.string(), listedUntil: time, list: v.nullable(v.string()) });

const mailboxesSchema = v.object({
  accounts: count,
  mailboxes: v.object({
    mailboxes: count,
    signer: v.object({ publicKey: v.string(), listedUntil: time }),
    lost: v.array(v.string()),
    lostCount: count,
    machines: v.array(
      v.object({
        machine: v.string(),
        connected: v.boolean(),
        mailboxes: count,
        pending: count,
        failed: count,
        lastFailure: v.nullable(v.object({ account: v.string(), text: v.string(), time: v.number() })),
      }),
    ),
  }),
});

/** Reads what `shoal-ledger signer` prints. @throws FormatError FEED */
export function parseSigner(report: unknown): SignerReport {
  const result = v.safeParse(signerSchema, report);
  if (!result.success) throw new FormatError("FEED", "what the ledger says of its key is not what was expected");
  const { list, ...rest } = result.output;
  return { ...rest, list: list === null ? null : Buffer.from(list, "base64") };
}

/** Reads what `shoal-ledger status` prints, as to mailboxes. @throws FormatError FEED */
export function parseMailboxes(status: unknown): MailboxesStanding {
  const result = v.safeParse(mailboxesSchema, status);
  if (!result.success) throw new FormatError("FEED", "what the ledger says of mailboxes is not what was expected");
  const { accounts, mailboxes } = result.output;
  return { accounts, ...mailboxes };
}
