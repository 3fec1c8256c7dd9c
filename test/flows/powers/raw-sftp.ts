/** An SFTP client that asks for anything, allowed or not, and tells what the server said. For attacks. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { encodeRequest, PacketSplitter, type RequestPart } from "#host/sftp-packet.ts";

/** Request types of SFTP version 3 (draft-ietf-secsh-filexfer-02, section 3). */
export const ASK = {
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  extended: 200,
} as const;

const replyStatus = 101;

export interface Answer {
  /** Null when the answer is more than a status: a handle, data, names, attributes. */
  status: number | null;
  /** Fields behind the request's number. */
  body: Buffer;
}

/** True when the server did what it was asked to do. */
export function granted({ status }: Answer): boolean {
  return status === null || status === 0;
}

export class RawSftp {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #splitter = new PacketSplitter();
  readonly #waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  readonly #ended: Promise<void>;
  #version: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #nextId = 0;
  #failure: Error | null = null;
  #stderr = "";

  private constructor([program, ...args]: readonly [string, ...string[]]) {
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout.on("data", (chunk: Buffer) => {
      for (const packet of this.#splitter.push(chunk)) this.#take(packet);
    });
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString("utf8");
    });
    // A broken pipe is told by the end of the program.
    this.#child.stdin.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => this.#fail(error));
      this.#child.once("close", (status) => {
        this.#fail(new Error(`"${program}" ended with ${status}: ${this.#stderr.trim()}`));
        resolve();
      });
    });
  }

  /**
   * Starts a program that speaks SFTP on its standard streams.
   * @throws Error with its standard error when it ends instead
   */
  static async start(command: readonly [string, ...string[]]): Promise<RawSftp> {
    const client = new RawSftp(command);
    await new Promise<void>((resolve, reject) => {
      client.#version = { resolve, reject };
      client.#child.stdin.write(encodeRequest(1, 3, []));
    });
    return client;
  }

  async ask(type: number, parts: readonly RequestPart[]): Promise<Answer> {
    this.#nextId += 1;
    const id = this.#nextId;
    return await new Promise((resolve, reject) => {
      if (this.#failure !== null) throw this.#failure;
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin.write(encodeRequest(type, id, parts));
    });
  }

  /** Opens a file and gives its handle, or the refusal. */
  async open(path: string, flags: number): Promise<Answer & { handle: Buffer }> {
    const answer = await this.ask(ASK.open, [path, flags, { raw: Buffer.alloc(4) }]);
    return { ...answer, handle: handleOf(answer) };
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill(), 3000);
    await this.#ended;
    clearTimeout(timer);
  }

  #take(packet: Buffer): void {
    if (packet[0] === 2) {
      this.#version?.resolve();
      return;
    }
    const id = packet.readUInt32BE(1);
    const body = packet.subarray(5);
    this.#waiting.get(id)?.resolve({ status: packet[0] === replyStatus ? body.readUInt32BE(0) : null, body });
    this.#waiting.delete(id);
  }

  #fail(error: Error): void {
    this.#failure = error;
    this.#version?.reject(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** The handle in an answer; empty when there is none. */
export function handleOf({ status, body }: Answer): Buffer {
  return status === null ? body.subarray(4, 4 + body.readUInt32BE(0)) : Buffer.alloc(0);
}

/** Names in the answer to READDIR. */
export function namesOf({ status, body }: Answer): string[] {
  if (status !== null) return [];
  const names: string[] = [];
  let at = 4;
  const text = (): string => {
    const length = body.readUInt32BE(at);
    at += 4 + length;
    return body.toString("utf8", at - length, at);
  };
  for (let left = body.readUInt32BE(0); left > 0; left--) {
    names.push(text());
    text();
    const flags = body.readUInt32BE(at);
    at +=
      4 +
      ((flags & 1) === 0 ? 0 : 8) +
      ((flags & 2) === 0 ? 0 : 8) +
      ((flags & 4) === 0 ? 0 : 4) +
      ((flags & 8) === 0 ? 0 : 8);
  }
  return names;
}
