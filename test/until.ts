/** Waiting, for all tests of whole programs. */

import { setTimeout as sleep } from "node:timers/promises";

/** How long a test waits for what must happen. No test is one of speed: the machine may have much else to do. */
export const PATIENCE_SECONDS = 180;

/** Within that a change of an account is on all machines: a promise, and so a bound. */
export const SOON_SECONDS = 10;

/** Waits until something is so, looking five times a second; gives the seconds it took. @throws Error when patience ends */
export async function until(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
  seconds = PATIENCE_SECONDS,
): Promise<number> {
  const started = performance.now();
  const passed = (): number => (performance.now() - started) / 1000;
  while (!(await isSo())) {
    if (passed() > seconds) throw new Error(`${typeof what === "string" ? what : what()}: not after ${seconds} s`);
    await sleep(200);
  }
  return passed();
}
