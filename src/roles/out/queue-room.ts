/**
 * Room on the disk of smtpd's queue. smtpd does not look whether the last bytes of what it encrypts reach the disk: on a full one
 * it accepts a message that it has cut. So messages are handed over only while there is far more room than they need.
 */

import { statfs } from "node:fs/promises";
import { HostError } from "#core/errors.ts";

/** A message lies there in clear, encrypted, and with an envelope for each recipient. */
const COPIES = 3;
const RESERVE_BYTES = 64 * 1024 * 1024;

export class QueueRoom {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Whether a message of that size fits, with much to spare. @throws HostError FILE */
  async holds(messageBytes: number): Promise<boolean> {
    try {
      const { bavail, bsize, ffree, files } = await statfs(this.#folder);
      // File systems without a table of files say 0 of 0.
      return bavail * bsize >= COPIES * messageBytes + RESERVE_BYTES && (files === 0 || ffree > 1000);
    } catch (cause) {
      throw new HostError("FILE", `can't see how much room there is in "${this.#folder}"`, { cause });
    }
  }

  /** @throws HostError BUSY if it does not fit */
  async expect(messageBytes: number): Promise<void> {
    if (!(await this.holds(messageBytes))) {
      throw new HostError("BUSY", "this machine has no room for mail now", { hint: "try again later" });
    }
  }
}
