/**
 * The wire below {@link SftpConnection}: requests out, answers matched by id, one failure for everybody when the
 * subprocess or the protocol breaks.
 */

import { FormatError, HostError } from "#core/errors.ts";
import {
  encodeRequest,
  PacketSplitter,
  parseReply,
  REQUEST,
  type Reply,
  type RequestPart,
  STATUS,
} from "./sftp-packet.ts";
import { Patience } from "./sftp-patience.ts";
import { type SshEnd, type SshOptions, type SshProcess, startSubsystem } from "./ssh.ts";
import { classifySshEnd } from "./ssh-failure.ts";

/** The server answered a request with a status other than OK. */
export class SftpStatusError extends HostError {
  /** See {@link STATUS}. */
  readonly status: number;

  constructor(status: number, message: string) {
    super("FILE", message);
    this.status = status;
  }
}

interface Pending {
  what: string;
  expected: Reply["kind"];
  /** The most bytes that a DATA reply may bring. */
  maxBytes: number;
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

export class SftpChannel {
  readonly #process: SshProcess;
  readonly #target: SshOptions;
  readonly #splitter = new PacketSplitter();
  readonly #pending = new Map<number, Pending>();
  readonly #patience = new Patience();
  readonly #patienceTimer: NodeJS.Timeout;
  /** Settles, and never rejects, when the subprocess is gone. */
  readonly #gone: Promise<void>;
  #outgoing: Uint8Array[] = [];
  #flushPlanned = false;
  #blocked = false;
  #nextId = 1;
  #established = false;
  #ending = false;
  #failure: Error | undefined;
  #versionReply: { resolve(): void; reject(error: unknown): void } | undefined;

  constructor(target: SshOptions) {
    this.#target = target;
    this.#process = startSubsystem(target, "sftp");
    const { stdin, stdout } = this.#process;
    stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
    stdout.on("end", () => {
      // Without an answering side the subprocess has nothing left to do; give it time to say why.
      setTimeout(() => this.#process.kill(), 3000).unref();
    });
    stdin.on("drain", () => {
      this.#blocked = false;
      this.#flush();
    });
    // A broken pipe means the subprocess ended: how it ended is what the callers are told.
    stdin.on("error", () => this.#process.kill());
    this.#gone = this.#process.ended.then(
      (end) => this.#ended(end),
      (error: unknown) => this.fail(error instanceof Error ? error : new Error(String(error))),
    );
    this.#patienceTimer = setInterval(() => this.#checkPatience(), 5000);
    this.#patienceTimer.unref();
  }

  /** Agrees on version 3. Requests may follow without waiting for it. */
  handshake(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#versionReply = { resolve, reject };
      if (this.#failure !== undefined) reject(this.#failure);
      this.#send([encodeRequest(REQUEST.init, 3, [])]);
    });
  }

  /** Nothing can be asked any more. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** An id for {@link expect} that no request under way has. */
  newId(): number {
    do this.#nextId = (this.#nextId + 1) >>> 0;
    while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }

  /**
   * Sends a request. A status other than OK rejects with {@link SftpStatusError}; OK resolves only where a status is
   * what was asked for.
   * @param what completes "can't …" in messages
   * @param maxBytes the most bytes that a DATA reply may bring
   */
  request(type: number, parts: RequestPart[], what: string, expected: Reply["kind"], maxBytes = 0): Promise<Reply> {
    const id = this.newId();
    return this.expect(id, [encodeRequest(type, id, parts)], what, expected, maxBytes);
  }

  /** {@link request} with a packet that is encoded already. */
  expect(id: number, packet: Uint8Array[], what: string, expected: Reply["kind"], maxBytes = 0): Promise<Reply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { what, expected, maxBytes, resolve, reject });
      if (this.#pending.size === 1) this.#patience.begin(performance.now());
      this.#send(packet);
    });
  }

  /** Says goodbye and waits until the subprocess is gone; requests still under way fail. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#process.stdin.end();
    const timer = setTimeout(() => this.#process.kill(), 5000);
    await this.#gone;
    clearTimeout(timer);
  }

  /** Ends the subprocess at once. */
  kill(): void {
    this.#ending = true;
    this.#process.kill();
  }

  #send(packet: Uint8Array[]): void {
    this.#outgoing.push(...packet);
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    // All requests of one turn leave in one write: each wakes up ssh, sshd and the server.
    setImmediate(() => {
      this.#flushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { stdin } = this.#process;
    if (this.#blocked || this.#outgoing.length === 0 || !stdin.writable) return;
    const parts = this.#outgoing;
    this.#outgoing = [];
    let room = true;
    let sent = 0;
    stdin.cork();
    while (room && sent < parts.length) {
      const part = parts[sent];
      sent += 1;
      if (part === undefined) continue;
      room = stdin.write(part);
      this.#patience.sent(part.length);
    }
    stdin.uncork();
    if (sent < parts.length) this.#outgoing = parts.slice(sent);
    this.#blocked = stdin.writableNeedDrain;
    if (!this.#blocked && this.#outgoing.length > 0) this.#flush();
  }

  #receive(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#patience.received(chunk.length, performance.now());
    try {
      for (const packet of this.#splitter.push(chunk)) this.#dispatch(parseReply(packet));
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #dispatch(reply: Reply): void {
    if (reply.kind === "version") {
      if (this.#established) throw new FormatError("SFTP", "the server sent its version twice");
      if (reply.version !== 3) {
        throw new FormatError("SFTP", `the server speaks version ${reply.version} of SFTP, expected 3`);
      }
      this.#established = true;
      this.#versionReply?.resolve();
      return;
    }
    const pending = this.#established ? this.#pending.get(reply.id) : undefined;
    if (pending === undefined) throw new FormatError("SFTP", `the server answered request ${reply.id}, never sent`);
    if (reply.kind !== "status" && reply.kind !== pending.expected) {
      throw new FormatError("SFTP", `the server sent ${reply.kind} when asked to ${pending.what}`);
    }
    if (reply.kind === "data" && reply.data.length > pending.maxBytes) {
      throw new FormatError("SFTP", `the server sent more bytes than asked for to ${pending.what}`);
    }
    if (reply.kind === "status" && reply.status === STATUS.ok && pending.expected !== "status") {
      throw new FormatError("SFTP", `the server sent no answer to ${pending.what}`);
    }
    this.#pending.delete(reply.id);
    if (reply.kind !== "status" || reply.status === STATUS.ok) pending.resolve(reply);
    else pending.reject(new SftpStatusError(reply.status, `can't ${pending.what}: ${statusText(reply)}`));
  }

  #ended(end: SshEnd): void {
    if (this.#ending && end.status === 0) this.fail(new HostError("NETWORK", "the connection was closed"));
    else this.fail(classifySshEnd(this.#target, end, this.#established));
  }

  /** Ends everything: every request, under way or later, gets the first error given here. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearInterval(this.#patienceTimer);
    this.#process.kill();
    this.#outgoing = [];
    this.#versionReply?.reject(error);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }

  #checkPatience(): void {
    if (this.#pending.size === 0) return;
    const complaint = this.#patience.complaint(performance.now());
    if (complaint === undefined) return;
    const hint = "try again; nothing is lost";
    this.fail(new HostError("TIMEOUT", `"${this.#target.host}" ${complaint}`, { hint }));
  }
}

const STATUS_TEXT: Record<number, string> = {
  [STATUS.eof]: "end of file",
  [STATUS.noSuchFile]: "there is no such file",
  [STATUS.permissionDenied]: "not permitted",
  [STATUS.failure]: "the server says failure",
  [STATUS.badMessage]: "the server did not understand",
  [STATUS.unsupported]: "the server can't do this",
};

/** Our own words: the server's could be anything. */
function statusText(reply: { status: number }): string {
  return STATUS_TEXT[reply.status] ?? `status ${reply.status}`;
}
