/** What users handed in on one machine goes up, answers go down. */

import { setTimeout as sleep } from "node:timers/promises";
import type { AnswerFrame, KeysFrame, ProposalFrame } from "#core/account/feed.ts";
import type { FeedConnection } from "#host/feed-connection.ts";
import type { Judge, Lane, Verdict } from "./judge.ts";

/**
 * Runs one connection until it ends. Nothing more is read until what was read is answered, and not before refused
 * proposals have cost the other side as much time as they have cost us: so a machine that sends nonsense has half of one
 * processor at most.
 * @param link holds the connection while it stands
 * @throws as {@link FeedConnection.next}
 */
export async function serveProposals(
  connection: FeedConnection<KeysFrame>,
  judge: Judge,
  link: { connection: FeedConnection<KeysFrame> | null },
): Promise<void> {
  const lane = judge.lane();
  link.connection = connection;
  try {
    for (let frames = await connection.next(); frames !== null; frames = await connection.next()) {
      const proposals = frames.filter((frame) => frame.kind === "proposal");
      const answered = await Promise.all(proposals.map((proposal) => answer(proposal, lane)));
      await connection.send(...answered.map(({ frame }) => frame));
      const refused = answered.filter(({ frame }) => frame.code !== "ACCEPTED");
      await sleep(refused.reduce((sum, { milliseconds }) => sum + milliseconds, 0));
    }
  } finally {
    link.connection = null;
    judge.close(lane);
    connection.close();
  }
}

async function answer(
  { number, name, signed }: ProposalFrame,
  lane: Lane,
): Promise<Pick<Verdict, "milliseconds"> & { frame: AnswerFrame }> {
  const { code, text, version, milliseconds } = await lane.ask({ of: "state", signed, name });
  return { frame: { kind: "answer", number, code, version, text }, milliseconds };
}
