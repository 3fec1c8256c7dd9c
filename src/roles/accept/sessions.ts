/** Ending the SSH sessions of accounts that lost a key: whoever logged in with it is still in (proc(5)). */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A login that read the old file may not have its user id yet. */
const SCAN_MILLISECONDS = [0, 300, 1000, 3000, 9000];
/** Of the times in /proc; the same on all of Linux. */
const TICKS_PER_SECOND = 100;

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
}

export class SessionEnder {
  readonly #proc: string;
  readonly #log: (text: string) => void;
  readonly #kill: (pid: number) => void;

  /**
   * @param proc `/proc`
   * @param kill ends a process by force
   */
  constructor(
    proc: string,
    log: (text: string) => void,
    kill = (pid: number): void => void process.kill(pid, "SIGKILL"),
  ) {
    this.#proc = proc;
    this.#log = log;
    this.#kill = kill;
  }

  /**
   * Ends what these users run in sessions that began before now, at once and again while logins that began before now may
   * still come through; returns after the first look.
   */
  end(uids: ReadonlySet<number>): void {
    if (uids.size === 0) return;
    const until = this.#ticksNow();
    this.#scan(uids, until);
    for (const after of SCAN_MILLISECONDS.slice(1)) {
      setTimeout(() => {
        this.#scan(uids, until);
      }, after).unref();
    }
  }

  #ticksNow(): number {
    const [seconds] = readFileSync(join(this.#proc, "uptime"), "latin1").split(" ");
    return Math.ceil(Number(seconds) * TICKS_PER_SECOND);
  }

  #scan(uids: ReadonlySet<number>, until: number): void {
    const processes = new Map<number, ProcessInfo>();
    for (const name of readdirSync(this.#proc)) {
      const info = /^[0-9]+$/.test(name) ? this.#infoOf(Number(name)) : null;
      if (info !== null) processes.set(info.pid, info);
    }
    const ended = new Set<number>();
    for (const info of processes.values()) {
      if (!uids.has(info.uid) || (this.#startOf(sessionOf(info, processes)) ?? 0) > until) continue;
      try {
        this.#kill(info.pid);
        ended.add(info.uid);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
    for (const uid of ended) this.#log(`ended the sessions of user ${uid}, which has lost a key`);
  }

  #infoOf(pid: number): ProcessInfo | null {
    const status = this.#read(`${pid}/status`);
    const parent = /^PPid:\t([0-9]+)$/m.exec(status ?? "")?.[1];
    // The effective one: what a session of sshd is while it serves.
    const uid = /^Uid:\t[0-9]+\t([0-9]+)\t/m.exec(status ?? "")?.[1];
    return parent === undefined || uid === undefined ? null : { pid, parent: Number(parent), uid: Number(uid) };
  }

  /** When a process began, in ticks since the machine did; null when it has gone. */
  #startOf(pid: number): number | null {
    // The name in parentheses may hold anything, parentheses too.
    const fields = this.#read(`${pid}/stat`)?.replace(/^.*\)/s, "").trim().split(" ");
    return fields?.[19] === undefined ? null : Number(fields[19]);
  }

  #read(path: string): string | null {
    try {
      return readFileSync(join(this.#proc, path), "latin1");
    } catch (error) {
      // Processes go while one looks.
      if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
      throw error;
    }
  }
}

/** The process that began with the connection: sshd's own for it, parent of the first one that is the user's. */
export function sessionOf(info: ProcessInfo, processes: ReadonlyMap<number, ProcessInfo>): number {
  let first = info;
  for (let depth = 0; depth < 64; depth++) {
    const parent = processes.get(first.parent);
    if (parent?.uid !== info.uid) break;
    first = parent;
  }
  return first.parent;
}
