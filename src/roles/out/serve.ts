/** shoal-submit at work: every connection is one submission. */

import { readFile } from "node:fs/promises";
import { FormatError, HostError } from "#core/errors.ts";
import { unixTime } from "#host/clock.ts";
import { listenAt } from "#host/unix-socket.ts";
import { refusal } from "./answers.ts";
import type { SubmitConfig } from "./config.ts";
import { Desk, type DeskOptions } from "./desk.ts";
import { Grader } from "./grade/grader.ts";
import type { Way } from "./hand-over.ts";
import { SpamJudge } from "./judgement.ts";
import { LimitStore } from "./limit-store.ts";
import { MemoryBudget } from "./memory-budget.ts";
import { NoticeDesk } from "./notices/notice-desk.ts";
import { QueueRoom } from "./queue-room.ts";
import { printAnswer, RelayConnection } from "./relay-wire.ts";
import { signerOf } from "./signer.ts";
import { SmtpdPool } from "./smtpd-pool.ts";

const MAX_CONNECTIONS = 256;
const PRUNE_MILLISECONDS = 3600 * 1000;
const KEY_BYTES = 32;

export interface Serving {
  /** Stops listening and closes what is kept; submissions under way are cut. */
  stop(): Promise<void>;
}

/**
 * Listens; resolves when users may come.
 * @param log gets lines for people
 * @param die called for what only a new start can help against
 * @param grader asked for grades in place of the network, in tests
 * @throws FormatError CONFIG, STORE; HostError
 */
export async function serve(
  config: SubmitConfig,
  log: (text: string) => void,
  die: (error: unknown) => void,
  grader?: DeskOptions["grader"],
): Promise<Serving> {
  const threadKey = await readKey(config.threadKey);
  const now = unixTime;
  const store = LimitStore.open(config.store, threadKey, config.limits);
  store.prune(now());
  const pools = poolsOf(config);
  const budget = new MemoryBudget(config.maxMemoryBytes, config.limits.messageBytes);
  const desk = new Desk({
    config,
    threadKey,
    grader: grader ?? graderOf(config),
    store,
    room: new QueueRoom(config.queue),
    pools,
    budget,
    judge: config.judge === undefined ? null : new SpamJudge(config.judge),
    signer: signerOf(config),
    now,
    log,
  });
  // With a grader of its own: what was seen when mail was handed in is not what its notice is about.
  const noticeDesk =
    config.notices === undefined
      ? null
      : new NoticeDesk({ config, notices: config.notices, grader: grader ?? graderOf(config), log });
  const noticeServer = await noticeDesk?.listen();
  noticeServer?.on("error", die);
  let connections = 0;
  const server = await listenAt(config.socket, (socket) => {
    connections += 1;
    socket.once("close", () => (connections -= 1));
    if (connections > MAX_CONNECTIONS) {
      socket.on("error", () => socket.destroy());
      const busy = refusal(new HostError("BUSY", "too many send at once", { hint: "try again in a minute" }), false);
      if (busy === null) socket.destroy();
      else socket.end(printAnswer(busy), () => socket.destroy());
      return;
    }
    void desk.serve(new RelayConnection(socket));
  });
  server.on("error", die);
  const pruning = setInterval(() => {
    try {
      store.prune(now());
    } catch (error) {
      log(`can't forget old rows: ${error instanceof Error ? error.message : String(error)}`);
    }
  }, PRUNE_MILLISECONDS);
  log("ready");
  return {
    async stop() {
      clearInterval(pruning);
      for (const pool of Object.values(pools)) pool.close();
      noticeDesk?.close();
      noticeServer?.close();
      await new Promise((resolve) => server.close(resolve));
      store.close();
    },
  };
}

function graderOf({ resolver, hostname, caFile, allowPrivate, ownNetworks }: SubmitConfig): Grader {
  const options = { resolver, heloName: hostname, allowPrivate, ownNetworks };
  return new Grader(caFile === undefined ? options : { ...options, caFile });
}

function poolsOf({ smtpd, hostname, replySeconds }: SubmitConfig): Record<Way, SmtpdPool> {
  const pool = (port: number): SmtpdPool => new SmtpdPool({ port, hostname, replySeconds });
  return { strict: pool(smtpd.strict), anyway: pool(smtpd.anyway), dane: pool(smtpd.dane) };
}

async function readKey(path: string): Promise<Buffer> {
  const key = await readFile(path);
  if (key.length !== KEY_BYTES) throw new FormatError("CONFIG", `"${path}": expected ${KEY_BYTES} bytes`);
  return key;
}
