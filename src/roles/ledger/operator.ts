/** The operator's socket: records and states are handed in, what is stored and how the machines are is told. */

import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fromOperator, type OperatorFrame, type OperatorQuestion, type ReplyFrame } from "#core/account/feed.ts";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import type { AccountStore } from "#host/account-store.ts";
import { FeedConnection } from "#host/feed-connection.ts";
import type { Judge } from "./judge.ts";
import type { MailboxService } from "./mailboxes/service.ts";

/** Records of a dump that are in memory at once: a record of the directory can have 4 MiB. */
const RECORDS_AT_ONCE = 16;

const NO_MAILBOXES = { code: "NO-MAILBOXES", text: "this ledger keeps no signed mailboxes" };

export interface OperatorOptions {
  readonly judge: Judge;
  readonly store: AccountStore;
  /** What `status` prints, see shoal-ledger.8.md. */
  readonly status: () => object;
  /** Null where there are no signed mailboxes. */
  readonly mailboxes: Pick<MailboxService, "adopt" | "certify" | "report"> | null;
  readonly log: (text: string) => void;
}

/** Serves one connection until it ends. */
export async function serveOperator(socket: Socket, options: OperatorOptions): Promise<void> {
  const connection = new FeedConnection(
    { readable: socket, writable: socket, destroy: () => socket.destroy() },
    fromOperator(),
  );
  const lane = options.judge.lane();
  try {
    for (let frames = await connection.next(); frames !== null; frames = await connection.next()) {
      // All that has come is asked at once, and so shares the way to the disk.
      const verdicts = frames.map((frame) => (frame.kind === "submit" ? lane.ask({ ...frame, name: null }) : null));
      for (const [index, frame] of frames.entries()) {
        const verdict = await verdicts[index];
        if (frame.kind === "ask") await tell(frame.what, connection, options);
        else if (frame.kind === "certify") await connection.send(certify(frame.signed, options));
        else if (verdict) await connection.send({ kind: "reply", code: verdict.code, text: verdict.text });
      }
    }
  } catch (error) {
    options.log(`operator: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    options.judge.close(lane);
    connection.close();
  }
}

function certify(signed: Buffer, { mailboxes }: OperatorOptions): ReplyFrame {
  if (mailboxes === null) return { kind: "reply", ...NO_MAILBOXES };
  try {
    const { time, signers } = mailboxes.certify(signed);
    return { kind: "reply", code: "ACCEPTED", text: `the list of ${time} with ${signers.length} keys was accepted` };
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError)) throw error;
    return { kind: "reply", code: error.code, text: error.message };
  }
}

async function tell(
  what: OperatorQuestion,
  connection: FeedConnection<OperatorFrame>,
  { store, status, mailboxes }: OperatorOptions,
): Promise<void> {
  if ((what === "adopt" || what === "signer") && mailboxes === null) {
    await connection.send({ kind: "reply", ...NO_MAILBOXES });
    return;
  }
  if (what === "adopt") {
    const text = `${mailboxes?.adopt() ?? 0} mailboxes are taken as their machines show them; \`status\` tells which could not be`;
    await connection.send({ kind: "reply", code: "ACCEPTED", text });
    return;
  }
  if (what !== "dump") {
    const answer = what === "signer" ? mailboxes?.report() : status();
    await connection.send({ kind: "status", json: Buffer.from(JSON.stringify(answer)) });
    return;
  }
  for (const account of [null, ...store.accounts()]) {
    let first = 1;
    for (;;) {
      const records = store.versions(account, first, RECORDS_AT_ONCE);
      const of = account === null ? "directory" : "state";
      await connection.send(
        ...records.map(({ accepted, signed }) => ({ kind: "record", of, accepted, signed }) as const),
      );
      if (records.length < RECORDS_AT_ONCE) break;
      first += records.length;
    }
    await nextTurn();
  }
  await connection.send({ kind: "end" });
}
