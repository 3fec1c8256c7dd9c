/** The operator's socket: records and states are handed in, what is stored and how the machines are is told. */

import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fromOperator, type OperatorFrame } from "#core/account/feed.ts";
import type { AccountStore } from "#host/account-store.ts";
import { FeedConnection } from "#host/feed-connection.ts";
import type { Judge, Lane } from "./judge.ts";

/** Records of a dump that are in memory at once: a record of the directory can have 4 MiB. */
const RECORDS_AT_ONCE = 16;

export interface OperatorOptions {
  readonly judge: Judge;
  readonly store: AccountStore;
  /** What `status` prints, see shoal-ledger.8.md. */
  readonly status: () => object;
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
      for (const frame of frames) await answer(frame, connection, lane, options);
    }
  } catch (error) {
    options.log(`operator: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    options.judge.close(lane);
    connection.close();
  }
}

async function answer(
  frame: OperatorFrame,
  connection: FeedConnection<OperatorFrame>,
  lane: Lane,
  { store, status }: OperatorOptions,
): Promise<void> {
  if (frame.kind === "submit") {
    const { code, text } = await lane.ask({ ...frame, name: null });
    await connection.send({ kind: "reply", code, text });
    return;
  }
  if (frame.what === "status") {
    await connection.send({ kind: "status", json: Buffer.from(JSON.stringify(status())) });
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
