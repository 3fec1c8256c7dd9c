/** Every kind of process of every role, found on the host and killed as nothing kills more surely: `kill -9`. */

import { readdir, readFile, readlink } from "node:fs/promises";
import { HostError } from "#core/errors.ts";
import { cellStatus } from "#fleet/cell/cell.ts";

export interface Victim {
  /** As it is reported. */
  kind: string;
  machine: "in" | "spam-in" | "fetch" | "ledger" | "out" | "user";
  /** Tells it by its command line and that of its parent. */
  is(command: string, parent: string): boolean;
}

/** A program whose command line starts so, and its parent's. */
export function starts(kind: string, machine: Victim["machine"], command: string, parent = ""): Victim {
  return { kind, machine, is: (own, above) => own.startsWith(command) && above.startsWith(parent) };
}

/** A program whose command line has all of these words. */
export function holds(kind: string, machine: Victim["machine"], ...words: readonly string[]): Victim {
  return { kind, machine, is: (own) => words.every((word) => own.includes(word)) };
}

/** Of the way in. */
export const victims: readonly Victim[] = [
  holds("front", "in", "/shoal-front.mjs"),
  starts("smtpd", "in", "/usr/sbin/smtpd", "runsv"),
  ...["control", "crypto", "dispatcher", "lookup", "queue", "scheduler"].map((name) =>
    starts(`smtpd: ${name}`, "in", `smtpd: ${name}`),
  ),
  starts("smtpd's filter keeper", "in", "/usr/sbin/smtpd", "/usr/sbin/smtpd"),
  holds("filter-rspamd", "in", "/filter-rspamd "),
  holds("seal", "in", "node", "/shoal-seal.mjs"),
  holds("courier", "in", "/shoal-courier.mjs"),
  holds("courier's ssh, deposits", "in", "ssh -T", " deposit "),
  holds("courier's ssh, sizes", "in", "ssh -T", " usage "),
  holds("courier's ssh, lists", "in", "ssh -T", " append "),
  holds("spam-tunnel's ssh", "in", "ssh -N"),
  starts("sshd of spam-in", "spam-in", "sshd: "),
  starts("sshd-session of spam-in", "spam-in", "sshd-session: "),
  starts("rspamd", "spam-in", "rspamd: main"),
  starts("rspamd's worker", "spam-in", "rspamd: normal"),
  starts("sshd of fetch", "fetch", "sshd: "),
  starts("sshd-session of deposits", "fetch", "sshd-session: deposit"),
  starts("sshd-session of sizes", "fetch", "sshd-session: usage"),
  starts("sshd-session of ledgers", "fetch", "sshd-session: mailboxes"),
  {
    kind: "sshd-session of owners",
    machine: "fetch",
    is: (command) => /^sshd-session: (?!deposit|usage|mailboxes|ledger)/.test(command),
  },
  holds("ledger", "ledger", "node", "/shoal-ledger.mjs"),
  holds("ledger's ssh, ledgers", "ledger", "ssh -T", " mailboxes "),
  starts("sshd of ledger", "ledger", "sshd: "),
  starts("sshd-session of lists", "ledger", "sshd-session: append"),
  holds("nc of lists", "ledger", "nc -N -U /run/append/"),
  holds("shoal", "user", "/usr/local/bin/shoal sync"),
  holds("shoal's ssh", "user", "ssh -T"),
];

interface HostProcess {
  pid: number;
  parent: number;
  command: string;
}

/** Processes of one machine: those in the process namespace of its first one. */
export class MachineProcesses {
  readonly #namespace: string;

  private constructor(namespace: string) {
    this.#namespace = namespace;
  }

  static async of(network: string, machine: string): Promise<MachineProcesses> {
    const status = await cellStatus(network, machine);
    if (status?.status !== "running") throw new HostError("EXEC", `machine "${machine}" does not run`);
    return new MachineProcesses(await readlink(`/proc/${status.pid}/ns/pid`));
  }

  /** Process ids of a kind, now. */
  async find(victim: Victim): Promise<number[]> {
    const all = await this.#list();
    const commands = new Map(all.map(({ pid, command }) => [pid, command]));
    return all.filter(({ command, parent }) => victim.is(command, commands.get(parent) ?? "")).map(({ pid }) => pid);
  }

  async #list(): Promise<HostProcess[]> {
    const found: HostProcess[] = [];
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        if ((await readlink(`/proc/${name}/ns/pid`)) !== this.#namespace) continue;
        const command = (await readFile(`/proc/${name}/cmdline`, "latin1")).replaceAll("\0", " ");
        const status = await readFile(`/proc/${name}/status`, "latin1");
        found.push({ pid: Number(name), parent: Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]), command });
      } catch (error) {
        if (!isGone(error) && !isForeign(error)) throw error;
      }
    }
    return found;
  }
}

/** @returns false when it had ended by itself */
export function killNow(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch (error) {
    if (!isGone(error)) throw error;
    return false;
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ESRCH";
}

/** A process of the host that not even we may look at. */
function isForeign(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EACCES";
}
