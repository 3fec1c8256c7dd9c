/** Connections to machines that are kept: `ssh` with a forced command at its other end, started again when it ends. */

import { setTimeout as sleep } from "node:timers/promises";
import type { FeedReader, Frame } from "#core/account/feed.ts";
import { HostError } from "#core/errors.ts";
import { FeedConnection } from "#host/feed-connection.ts";
import { linkOptions, startSubsystem } from "#host/ssh.ts";
import { classifySshEnd } from "#host/ssh-failure.ts";
import type { MachineConfig } from "./config.ts";

const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 2000;
/** A connection that lasted so long was a good one. */
const GOOD_MILLISECONDS = 10_000;
/** The same trouble is told again after so long. */
const TELL_AGAIN_MILLISECONDS = 600_000;

export interface LinkOptions<Incoming extends Frame> {
  readonly machine: MachineConfig;
  /** Unix user there. */
  readonly user: string;
  readonly reader: () => FeedReader<Incoming>;
  /** Runs one connection until it ends. */
  readonly serve: (connection: FeedConnection<Incoming>) => Promise<void>;
  readonly log: (text: string) => void;
}

/** Keeps a connection for ever; whatever goes wrong is logged once and tried again. */
export async function keepLinked<Incoming extends Frame>(options: LinkOptions<Incoming>): Promise<never> {
  let pause = FIRST_PAUSE_MILLISECONDS;
  let told = "";
  let toldAt = 0;
  for (;;) {
    const started = performance.now();
    const error = await runOnce(options);
    const now = performance.now();
    if (now - started > GOOD_MILLISECONDS) pause = FIRST_PAUSE_MILLISECONDS;
    if (error.message !== told || now - toldAt > TELL_AGAIN_MILLISECONDS) {
      options.log(error.message);
      told = error.message;
      toldAt = now;
    }
    await sleep(pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MILLISECONDS);
  }
}

/** @returns why it ended */
async function runOnce<Incoming extends Frame>(options: LinkOptions<Incoming>): Promise<Error> {
  const target = linkOptions({ ...options.machine, user: options.user });
  const ssh = startSubsystem(target, null);
  const destroy = (): void => {
    ssh.kill();
    // Node counts a process as ended when its output was read or is given up: unread, it would hold this link for ever.
    ssh.stdout.destroy();
    ssh.stdin.destroy();
  };
  const connection = new FeedConnection({ readable: ssh.stdout, writable: ssh.stdin, destroy }, options.reader());
  let failure: Error = new HostError("NETWORK", "the connection has ended");
  try {
    await options.serve(connection);
  } catch (error) {
    failure = asError(error);
  }
  connection.close();
  try {
    const end = await ssh.ended;
    // What the connection complains of is only what follows when ssh says why it has ended by itself.
    const isOurs = !(failure instanceof HostError && failure.code === "NETWORK");
    return isOurs || end.stderr === "" ? failure : classifySshEnd(target, end, false);
  } catch (error) {
    return asError(error);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
