/** One `fetch` machine as the courier sees it: a place that sealed files can be added to, over lasting connections. */

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { FormatError, HostError, VerifyError } from "#core/errors.ts";
import type { Envelope } from "#core/mail/envelopes.ts";
import { parseUsage, type Usage } from "#core/usage.ts";
import { OPEN, SftpConnection, SftpStatusError } from "#host/sftp.ts";
import { linkOptions } from "#host/ssh.ts";
import type { FetchConfig } from "../config.ts";

const maxUsageBytes = 16 * 1024 * 1024;
/** Pause after a lost connection before the next attempt. */
const reconnectMilliseconds = 500;
/** sshd makes the files of one connection durable one after the other, those of several connections together. */
const depositConnections = 4;

export class FetchMachine {
  readonly name: string;
  readonly #config: FetchConfig;
  readonly #maxWaiting: number;
  #waiting = 0;
  readonly #deposits: Line[];
  readonly #usage: Line;

  /** @param maxWaiting messages that may wait for a lost connection at a time; more of them would keep others waiting */
  constructor(config: FetchConfig, maxWaiting: number) {
    this.name = config.machine;
    this.#config = config;
    this.#maxWaiting = maxWaiting;
    this.#deposits = Array.from(
      { length: depositConnections },
      () => new Line(() => this.#connect(config.depositUser)),
    );
    this.#usage = new Line(() => this.#connect(config.usageUser));
  }

  /**
   * Adds a sealed file under its digest and returns when it is durable there. A file of that name and size that is
   * there already is the same file: this may be repeated at any time.
   * @param deadline milliseconds as `Date.now`; until then a lost connection is made again
   * @param known tells, at last when the content is on its disk, whether the mail was deposited once and must not be again
   * @returns "there" when the mailbox holds it already
   * @throws SftpStatusError when the machine refuses (a full disk); HostError, VerifyError when it can't be reached; what `known` throws
   */
  async deposit(envelope: Envelope, deadline: number, known: Promise<boolean>): Promise<"added" | "known" | "there"> {
    // Of a deposit that fails by itself nobody may be left to ask.
    const knowledge = known.then(
      (isKnown) => ({ isKnown }),
      (error: unknown) => ({ error }),
    );
    for (;;) {
      try {
        return await leastBusy(this.#deposits).use((connection) => this.#depositOnce(connection, envelope, knowledge));
      } catch (error) {
        if (error instanceof UnknownError) throw error.cause;
        const late = Date.now() + reconnectMilliseconds > deadline;
        if (!isLostConnection(error) || late || this.#waiting >= this.#maxWaiting) throw error;
        this.#waiting += 1;
        await sleep(reconnectMilliseconds);
        this.#waiting -= 1;
      }
    }
  }

  /** Sizes of its mailboxes, as it counted them last. @throws like {@link deposit}; FormatError CONFIG */
  async usage(): Promise<Usage> {
    return await this.#usage.use(async (connection) => {
      return parseUsage((await connection.readFile("/usage", maxUsageBytes)).toString("utf8"));
    });
  }

  async #depositOnce(
    sftp: SftpConnection,
    { name, sha256, file }: Envelope,
    knowledge: Promise<{ isKnown: boolean } | { error: unknown }>,
  ): Promise<"added" | "known" | "there"> {
    const temporary = `/${name}/incoming/${randomBytes(16).toString("hex")}`;
    const final = `/${name}/mail/${sha256}.age`;
    const handle = await sftp.open(temporary, OPEN.create | OPEN.exclusive | OPEN.write);
    // The name must not exist before the content is on disk, so the link waits for the first fsync.
    const settled = await Promise.allSettled([sftp.write(handle, 0, file), sftp.fsync(handle)]);
    const failed = settled.find((result) => result.status === "rejected");
    const known = failed === undefined ? await knowledge : { isKnown: false };
    if (failed !== undefined || "error" in known || known.isKnown) {
      await sftp.close(handle);
      if (failed !== undefined) throw failed.reason;
      if ("error" in known) throw new UnknownError("whether the mail is known can't be told", { cause: known.error });
      return "known";
    }
    // The second fsync makes the link durable: it commits the transaction that holds the file's new link count.
    const [linked, ...others] = await Promise.allSettled([
      sftp.hardlink(temporary, final),
      sftp.fsync(handle),
      sftp.close(handle),
    ]);
    for (const other of others) if (other.status === "rejected") throw other.reason;
    if (linked.status !== "rejected") return "added";
    if (!(linked.reason instanceof SftpStatusError)) throw linked.reason;
    const there = await sftp.lstat(final).catch((error: unknown) => {
      if (error instanceof SftpStatusError) return undefined;
      throw error;
    });
    if (there?.size !== file.length) throw linked.reason;
    return "there";
  }

  async #connect(user: string): Promise<SftpConnection> {
    return await SftpConnection.open(linkOptions({ ...this.#config, user }));
  }
}

/** Carries what kept the ledger from telling past the attempts to make a lost connection again. */
class UnknownError extends Error {}

/** A connection that is made when it is needed and made again when it was lost. */
class Line {
  readonly #connect: () => Promise<SftpConnection>;
  #current: Promise<SftpConnection> | undefined;
  #users = 0;

  constructor(connect: () => Promise<SftpConnection>) {
    this.#connect = connect;
  }

  /** How many use it now. */
  get users(): number {
    return this.#users;
  }

  async use<Result>(action: (connection: SftpConnection) => Promise<Result>): Promise<Result> {
    this.#users += 1;
    try {
      return await action(await this.#connection());
    } finally {
      this.#users -= 1;
    }
  }

  async #connection(): Promise<SftpConnection> {
    for (;;) {
      const current = this.#current;
      if (current === undefined) break;
      const connection = await current.catch(() => undefined);
      if (connection?.lost === false) return connection;
      // Whoever notices first makes the next one; the others wait for that.
      if (this.#current === current) this.#current = undefined;
    }
    this.#current = this.#connect();
    return await this.#current;
  }
}

/** The first of the least used: further connections are made only when they are needed. */
function leastBusy(lines: readonly Line[]): Line {
  const [first, ...others] = lines;
  if (first === undefined) throw new RangeError("no lines");
  return others.reduce((best, line) => (line.users < best.users ? line : best), first);
}

/** What may be well again in a second. A wrong host key or a refused login will not be, and neither will a full disk. */
function isLostConnection(error: unknown): boolean {
  if (error instanceof SftpStatusError || error instanceof VerifyError || error instanceof FormatError) return false;
  return error instanceof HostError && error.code !== "AUTH" && error.code !== "LOGIN";
}
