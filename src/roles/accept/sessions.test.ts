import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ProcessInfo, SessionEnder, sessionOf } from "./sessions.ts";

const UID = 20_077;
const OTHER = 20_078;
const started: ChildProcess[] = [];
after(() => {
  // With all that runs in them.
  for (const { pid, exitCode } of started) if (pid !== undefined && exitCode === null) process.kill(-pid, "SIGKILL");
});

/** What sshd does: a process of root's for the connection, and in it one of the user's with a child of its own. */
function session(uid: number, delaySeconds = 0): ChildProcess {
  const inside = `sleep ${delaySeconds}; setpriv --reuid ${uid} --clear-groups sh -c 'sleep 60; true'; true`;
  const child = spawn("sh", ["-c", inside], { stdio: "ignore", detached: true });
  started.push(child);
  return child;
}

/** Whether what the user runs in it has been ended within a time. */
async function hasEnded(child: ChildProcess, milliseconds: number): Promise<boolean> {
  if (child.exitCode !== null) return true;
  const ended = new Promise<boolean>((resolve) => child.once("exit", () => resolve(true)));
  return await Promise.race([ended, sleep(milliseconds).then(() => false)]);
}

test("ends sessions that began before, also those whose login was under way; nobody else's and no later ones", async () => {
  const log: string[] = [];
  const ender = new SessionEnder("/proc", (text) => log.push(text));
  const mine = session(UID);
  const other = session(OTHER);
  const underWay = session(UID, 0.6);
  await sleep(300);
  ender.end(new Set([UID]));
  await sleep(50);
  const later = session(UID);
  assert.equal(await hasEnded(mine, 500), true);
  assert.equal(await hasEnded(underWay, 2500), true);
  assert.equal(await hasEnded(later, 1), false);
  assert.equal(await hasEnded(other, 1), false);
  assert.ok(log.length > 0);
});

test("finds the process of the connection above everything that is the user's", () => {
  const table: ProcessInfo[] = [
    { pid: 1, parent: 0, uid: 0 },
    { pid: 10, parent: 1, uid: 0 },
    { pid: 11, parent: 10, uid: UID },
    { pid: 12, parent: 11, uid: UID },
    { pid: 20, parent: 21, uid: UID },
    { pid: 21, parent: 20, uid: UID },
  ];
  const processes = new Map(table.map((info) => [info.pid, info]));
  const of = (pid: number): number => sessionOf(processes.get(pid) ?? assert.fail(), processes);
  assert.equal(of(11), 10);
  assert.equal(of(12), 10);
  // A circle that a reading of many files may see.
  assert.ok([20, 21].includes(of(20)));
});
