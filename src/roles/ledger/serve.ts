/** The ledger itself: what is handed in is judged and kept, and every machine is told. */

import { Accounts } from "#core/account/accounts.ts";
import { fromAccept, fromKeys, type KeysFrame } from "#core/account/feed.ts";
import { FormatError } from "#core/errors.ts";
import { AccountStore } from "#host/account-store.ts";
import { unixTime } from "#host/clock.ts";
import type { FeedConnection } from "#host/feed-connection.ts";
import { takeLock } from "#host/lock.ts";
import { listenAt } from "#host/unix-socket.ts";
import type { LedgerConfig } from "./config.ts";
import { FeedLink, type FeedStatus } from "./feed-link.ts";
import { Judge } from "./judge.ts";
import { keepLinked } from "./machine-link.ts";
import { type MailboxesStatus, MailboxService } from "./mailboxes/service.ts";
import { serveOperator } from "./operator.ts";
import { serveProposals } from "./proposals-link.ts";

/** What `status` tells, as JSON. */
export interface LedgerStatus {
  /** Version of the latest record of the directory; 0 for none. */
  readonly directory: number;
  /** Accounts that have a state. */
  readonly accounts: number;
  readonly machines: readonly (FeedStatus & {
    readonly machine: string;
    readonly role: string;
    /** Whether what users hand in there comes up; null where they can't. */
    readonly proposals: boolean | null;
  })[];
  /** Null where there are no signed mailboxes. */
  readonly mailboxes: MailboxesStatus | null;
}

/**
 * Serves for ever.
 * @param log gets lines for people
 * @param die called for what only a new start can help against
 * @throws FormatError STORE when the store is damaged: somebody must look; HostError BUSY, FILE, DISK
 */
export async function serve(
  config: LedgerConfig,
  log: (text: string) => void,
  die: (error: unknown) => void,
): Promise<void> {
  const lock = takeLock(`${config.store}.lock`, "shoal-ledger");
  // Whom nobody refers to would be collected, and the lock with it.
  process.once("exit", () => lock.release());
  const { accounts, store } = load(config);
  const now = unixTime;
  const machines = config.machines.map((machine) => {
    const tell = (text: string): void => log(`${machine.machine}: ${text}`);
    const proposals: { connection: FeedConnection<KeysFrame> | null } = { connection: null };
    const onTook = (account: string): void => mailboxes?.noteTaken(machine.machine, account);
    return { machine, tell, feed: new FeedLink(accounts, store, now, tell, onTook), proposals };
  });
  const taken = (name: string, account: string): number =>
    machines.find(({ machine }) => machine.machine === name)?.feed.taken(account) ?? 0;
  const mailboxes: MailboxService | null =
    config.mailboxes === undefined
      ? null
      : await MailboxService.open({
          config: config.mailboxes,
          domain: config.domain,
          ...{ accounts, now, taken, log, die },
        });
  const judge = new Judge({
    accounts,
    store,
    now,
    tell: (changed) => {
      for (const { feed } of machines) for (const account of changed) feed.note(account);
      mailboxes?.note(changed);
    },
    die,
  });
  const status = (): LedgerStatus => ({
    directory: accounts.directory.latest?.record.version ?? 0,
    accounts: accounts.standings.size,
    machines: machines.map(({ machine: { machine, role }, feed, proposals }) => {
      return { machine, role, ...feed.status, proposals: role === "keys" ? proposals.connection?.isUp === true : null };
    }),
    mailboxes: mailboxes?.status ?? null,
  });
  const server = await listenAt(
    config.socket,
    (socket) => void serveOperator(socket, { judge, store, status, mailboxes, log }),
  );
  server.on("error", die);
  for (const { machine, tell, feed, proposals } of machines) {
    keepLinked({
      machine,
      user: machine.feedUser,
      reader: fromAccept,
      serve: (connection) => feed.serve(connection),
      log: tell,
    }).catch(die);
    if (machine.role !== "keys") continue;
    keepLinked({
      machine,
      user: machine.proposalsUser,
      reader: fromKeys,
      serve: (connection) => serveProposals(connection, judge, proposals),
      log: (text) => tell(`proposals: ${text}`),
    }).catch(die);
  }
  await mailboxes?.start();
  log(`ready: ${accounts.standings.size} accounts, directory version ${status().directory}`);
}

function load({ store: path, domain, directory }: LedgerConfig): { accounts: Accounts; store: AccountStore } {
  try {
    const store = AccountStore.open(path);
    const accounts = new Accounts(domain, directory);
    store.loadInto(accounts);
    return { accounts, store };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError("STORE", error.message, {
      cause: error,
      hint: "move it away and run `shoal-ledger restore` with the dump of a machine that you trust (`shoal-accept dump`)",
    });
  }
}
