/** A TCP relay that holds every byte back for a fixed time, order kept and bandwidth untouched: distance, on loopback. */

import { connect, createServer, type Socket } from "node:net";

export interface DelayRelay {
  port: number;
  stop(): Promise<void>;
}

/** @param delayMs one way: a round trip takes twice as long */
export async function startDelayRelay(toPort: number, delayMs: number): Promise<DelayRelay> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ port: toPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {
        near.destroy();
        far.destroy();
      });
    }
    pass(near, far, delayMs);
    pass(far, near, delayMs);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return {
    port: address.port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pass(from: Socket, to: Socket, delayMs: number): void {
  const waiting: { due: number; chunk: Buffer | undefined }[] = [];
  let timer: NodeJS.Timeout | undefined;
  function send(): void {
    timer = undefined;
    const now = performance.now();
    to.cork();
    for (let next = waiting[0]; next !== undefined && next.due <= now; next = waiting[0]) {
      waiting.shift();
      if (next.chunk === undefined) to.end();
      else to.write(next.chunk);
    }
    to.uncork();
    plan();
  }
  function plan(): void {
    const next = waiting[0];
    if (next !== undefined && timer === undefined) timer = setTimeout(send, Math.max(0, next.due - performance.now()));
  }
  from.on("data", (chunk: Buffer) => {
    waiting.push({ due: performance.now() + delayMs, chunk });
    plan();
  });
  from.on("end", () => {
    waiting.push({ due: performance.now() + delayMs, chunk: undefined });
    plan();
  });
}
