/** Memory for messages that are being handed in, shared fairly enough that one account can't take all of it. */

import { HostError } from "#core/errors.ts";

/** A message is in memory up to five times: in pieces, as it came, with other line ends, as it leaves, and signed. */
const COPIES = 5;
/** Of the whole, for one account; at least one message always fits. */
const SHARE = 4;

export class MemoryBudget {
  readonly #maxBytes: number;
  readonly #shareBytes: number;
  readonly #byAccount = new Map<string, number>();
  #taken = 0;

  constructor(maxBytes: number, maxMessageBytes: number) {
    this.#shareBytes = Math.max(maxBytes / SHARE, COPIES * (maxMessageBytes + 4096));
    this.#maxBytes = Math.max(maxBytes, this.#shareBytes);
  }

  get takenBytes(): number {
    return this.#taken;
  }

  open(account: string): MemoryShare {
    let mine = 0;
    return {
      take: (messageBytes) => {
        const bytes = COPIES * messageBytes;
        const ofAccount = this.#byAccount.get(account) ?? 0;
        if (ofAccount + bytes > this.#shareBytes || this.#taken + bytes > this.#maxBytes) {
          throw new HostError("BUSY", "too many large messages are being handed in", { hint: "try again in a minute" });
        }
        mine += bytes;
        this.#taken += bytes;
        this.#byAccount.set(account, ofAccount + bytes);
      },
      release: () => {
        const left = (this.#byAccount.get(account) ?? 0) - mine;
        if (left > 0) this.#byAccount.set(account, left);
        else this.#byAccount.delete(account);
        this.#taken -= mine;
        mine = 0;
      },
    };
  }
}

export interface MemoryShare {
  /** @throws HostError BUSY when there is no room for so many more bytes of a message */
  readonly take: (messageBytes: number) => void;
  readonly release: () => void;
}
