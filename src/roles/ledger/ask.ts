/** The other side of the operator's socket: what `submit`, `status`, `signer`, `certify`, `adopt` and `dump` do. */

import { createConnection, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { fromOperator, type OperatorFrame, type ReplyFrame, toOperator } from "#core/account/feed.ts";
import { FormatError, HostError, PolicyError } from "#core/errors.ts";
import { FeedConnection } from "#host/feed-connection.ts";

type Line = FeedConnection<ReplyFrame>;

/**
 * Hands in what stands on `input`, in the words of the operator's socket: the greeting, then frames `directory BYTES` and
 * `state BYTES`.
 * @param print gets each answer
 * @returns true if all were accepted
 * @throws FormatError FEED, HostError NETWORK
 */
export async function submit(path: string, input: Readable, print: (reply: ReplyFrame) => void): Promise<boolean> {
  const connection = await connect(path);
  try {
    const reader = fromOperator();
    let all = true;
    for await (const chunk of input as AsyncIterable<Buffer>) {
      const frames = reader.push(chunk);
      for (const frame of frames) {
        if (frame.kind === "ask") throw new FormatError("FEED", `"${frame.what}" can't be submitted`);
      }
      await connection.send(...frames);
      for (let left = frames.length; left > 0; ) {
        const replies = await nextFrames(connection);
        left -= replies.length;
        for (const reply of replies) {
          if (reply.kind !== "reply" || left < 0) throw unexpected(reply);
          print(reply);
          if (reply.code !== "ACCEPTED") all = false;
        }
      }
    }
    if (!reader.isBetweenFrames) throw new FormatError("FEED", "the input ends within a frame");
    return all;
  } finally {
    connection.close();
  }
}

/** The JSON of the ledger's status, or of its signer. @throws HostError NETWORK; PolicyError REFUSED */
export async function askFor(what: "signer" | "status", path: string): Promise<string> {
  const frame = await oneAnswer(path, { kind: "ask", what });
  if (frame?.kind === "status") return frame.json.toString("utf8");
  if (frame?.kind === "reply") throw new PolicyError("REFUSED", frame.text);
  throw new FormatError("FEED", `the ledger said something else than its ${what}`);
}

/** Has lost mailboxes taken from their machines. @returns the ledger's answer @throws HostError NETWORK */
export async function adopt(path: string): Promise<ReplyFrame & { readonly kind: "reply" }> {
  const frame = await oneAnswer(path, { kind: "ask", what: "adopt" });
  if (frame?.kind !== "reply") throw new FormatError("FEED", "the ledger did not answer");
  return frame;
}

/** Hands in a signed list of the keys that sign mailboxes. @returns the ledger's answer @throws HostError NETWORK */
export async function certify(path: string, input: Readable): Promise<ReplyFrame & { readonly kind: "reply" }> {
  const signed = await buffer(input);
  if (signed.length === 0) throw new FormatError("SIGNERS", "expected a signed list of signers on standard input");
  const frame = await oneAnswer(path, { kind: "certify", signed });
  if (frame?.kind !== "reply") throw new FormatError("FEED", "the ledger did not answer the list");
  return frame;
}

async function oneAnswer(path: string, question: OperatorFrame): Promise<ReplyFrame | undefined> {
  const connection = await connect(path);
  try {
    await connection.send(question);
    const [frame] = await nextFrames(connection);
    return frame;
  } finally {
    connection.close();
  }
}

/** Everything that is stored, up to its end. @throws HostError NETWORK */
export async function* dump(path: string): AsyncGenerator<ReplyFrame> {
  const connection = await connect(path);
  try {
    await connection.send({ kind: "ask", what: "dump" });
    for (let frames = await connection.next(); frames !== null; frames = await connection.next()) {
      for (const frame of frames) {
        if (frame.kind !== "record" && frame.kind !== "end") throw unexpected(frame);
        yield frame;
        if (frame.kind === "end") return;
      }
    }
    throw new HostError("NETWORK", "the ledger has ended the connection");
  } finally {
    connection.close();
  }
}

async function connect(path: string): Promise<Line> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const connecting = createConnection(path, () => resolve(connecting));
    connecting.once("error", (cause) => {
      reject(
        new HostError("NETWORK", `no ledger answers at "${path}"`, { cause, hint: "is shoal-ledger serve running?" }),
      );
    });
  });
  return new FeedConnection({ readable: socket, writable: socket, destroy: () => socket.destroy() }, toOperator());
}

async function nextFrames(connection: Line): Promise<ReplyFrame[]> {
  const frames = await connection.next();
  if (frames === null) throw new HostError("NETWORK", "the ledger has ended the connection");
  return frames;
}

function unexpected({ kind }: ReplyFrame): FormatError {
  return new FormatError("FEED", `the ledger said "${kind}" now`);
}
