/** One connection of a courier (docs/formats/mailbox-append.md). */

import type { Socket } from "node:net";
import {
  APPEND_HELLO,
  type AppendAnswer,
  AppendReader,
  MAX_APPENDS_OPEN,
  parseAppendRequest,
  printAppendAnswer,
} from "#core/mailbox/append-frames.ts";
import type { Appender } from "./appender.ts";

/** Serves it until it ends. */
export function serveAppends(socket: Socket, appender: Pick<Appender, "ask">, log: (text: string) => void): void {
  const reader = new AppendReader(parseAppendRequest);
  let open = 0;
  let answers: string[] = [];
  const flow = (): void => {
    if (open < MAX_APPENDS_OPEN && !socket.writableNeedDrain) socket.resume();
    else socket.pause();
  };
  const answer = (said: AppendAnswer): void => {
    open--;
    if (socket.destroyed) return;
    if (answers.length === 0) {
      // All answers of one batch leave in one write.
      process.nextTick(() => {
        socket.write(answers.join(""), "latin1");
        answers = [];
        flow();
      });
    }
    answers.push(printAppendAnswer(said));
  };
  socket.on("data", (chunk: Buffer) => {
    try {
      const requests = reader.push(chunk);
      open += requests.length;
      for (const request of requests) appender.ask(request, answer);
    } catch (error) {
      log(`appends: ${error instanceof Error ? error.message : String(error)}`);
      socket.destroy();
      return;
    }
    flow();
  });
  socket.on("drain", flow);
  socket.on("end", () => socket.end());
  // A courier that goes away asks again when it is back.
  socket.on("error", () => socket.destroy());
  socket.write(`${APPEND_HELLO}\n`);
}
