/** Listens and gives every client its session. */

import { createServer, type Server, type Socket } from "node:net";
import type { SecureContext } from "node:tls";
import { HostError } from "#core/errors.ts";
import type { FrontConfig } from "../config.ts";
import { BackendLost } from "./backend.ts";
import { Doorway } from "./doorway.ts";
import { type Endpoint, plainAddress } from "./proxy-header.ts";
import { Refusal } from "./refusal.ts";
import { Session, type SessionServices } from "./session.ts";
import { startTls } from "./tls.ts";
import { Visitors } from "./visitors.ts";

/** smtpd queues 5 connections that it has not yet accepted, and the kernel drops what comes on top of these. */
const doorwayWidth = 4;
/** By then smtpd has accepted the connection, and whatever delays its banner (a slow name server) delays only that. */
const doorwayHoldMilliseconds = 250;
const backlog = 1024;

/**
 * Starts listening everywhere; each server is ready when the promise resolves.
 * @param log called with what is worth a line; it never names a client
 */
export async function startFront(
  config: FrontConfig,
  context: SecureContext,
  log: (text: string) => void,
): Promise<Server[]> {
  const visitors = new Visitors(config.maxConnections, config.maxConnectionsPerClient);
  const services: SessionServices = {
    domain: config.domain,
    smtpd: config.smtpd,
    limits: { ...config, maxMistakes: 20, maxHellos: 10 },
    doorway: new Doorway(doorwayWidth, doorwayHoldMilliseconds),
    startTls: (socket, deadline) => startTls(context, socket, deadline),
  };
  const onConnection = (socket: Socket): void => {
    // Errors reach the session through the stream; one after its end has no other listener, and is nobody's loss.
    socket.on("error", () => socket.destroy());
    welcome(socket, services, visitors, log).catch((error: unknown) => {
      socket.destroy();
      log(error instanceof Error ? (error.stack ?? error.message) : String(error));
    });
  };
  return await Promise.all(config.listen.map((endpoint) => listen(endpoint, onConnection)));
}

async function welcome(
  socket: Socket,
  services: SessionServices,
  visitors: Visitors,
  log: (text: string) => void,
): Promise<void> {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (!remoteAddress || !remotePort || !localAddress || !localPort) return void socket.destroy();
  const client = { address: plainAddress(remoteAddress), port: remotePort };
  const server = { address: plainAddress(localAddress), port: localPort };
  if (!visitors.enter(client.address)) {
    socket.end("421 4.7.0 too many connections, try again later\r\n");
    socket.destroySoon();
    return;
  }
  try {
    await new Session(socket, client, server, services).run();
  } catch (error) {
    if (error instanceof Refusal) log(`refused: ${error.reply}`);
    else if (error instanceof BackendLost) log("smtpd is away");
    else if (!(error instanceof HostError)) throw error;
  } finally {
    visitors.leave(client.address);
  }
}

function listen(endpoint: Endpoint, onConnection: (socket: Socket) => void): Promise<Server> {
  // A client may close its side after QUIT and still wants the replies.
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false }, onConnection);
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new HostError("NETWORK", `can't listen on ${endpoint.address} port ${endpoint.port}`, { cause })),
    );
    server.listen({ host: endpoint.address, port: endpoint.port, backlog }, () => resolve(server));
  });
}
