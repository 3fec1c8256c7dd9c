/** What only who holds the ledger's signing key can do, and how each must be named. */

import { printEntries } from "#core/mailbox/entries.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { signHead } from "#core/mailbox/head.ts";
import { append, headOf, type Mailbox, newMailbox } from "#core/mailbox/writer.ts";
import { nextState, signState } from "#test/owner.ts";
import { type Attack, both, headIn, liveLines, newest } from "./attacks.ts";
import { DOMAIN, sha256 } from "./fetch.ts";
import { KEEP_SECONDS } from "./honest-world.ts";

export const ledgerAttacks: readonly Attack[] = [
  {
    name: "clock-of-the-ledger-ahead",
    apply(folder, { world }) {
      const head = headIn(folder);
      folder.head = signHead({ ...head, time: world.time + 7200, next: world.time + 7500 }, world.signer);
      return both("CLOCK");
    },
  },
  {
    name: "head-names-older-account-state",
    apply(folder, { world }) {
      const state = nextState(world.standing, { time: world.time });
      const accepted = world.time - 1000;
      folder.versions = [
        ...world.versions,
        { accepted, signed: signState({ ...state, time: accepted }, [world.master]) },
      ];
      return both("ROLLBACK");
    },
  },
  {
    name: "history-told-anew",
    apply(folder, { world }) {
      let mailbox = newMailbox(world.standing.id);
      const entries: Entry[] = [];
      for (let count = world.mailbox.last.seq; count > 0; count--) {
        const delivery = { digest: sha256(world.random.bytes(32)), size: 20, version: 1 };
        const made = append(mailbox, delivery, undefined, world.time - KEEP_SECONDS, KEEP_SECONDS - 1000);
        mailbox = made.mailbox;
        entries.push(made.entry);
      }
      folder.mail.clear();
      folder.entries = printEntries(entries);
      const { state } = headIn(folder);
      folder.head = signHead(headOf(mailbox, DOMAIN, state, world.time, 300), world.signer);
      // Another device's records name what it saw.
      return { memory: ["FORK"], fresh: ["DEVICE-FORK"] };
    },
  },
  {
    name: "history-told-anew-and-longer",
    apply(folder, scene) {
      const { world } = scene;
      const { live, dropped } = liveLines(folder);
      const { seq } = newest(scene);
      let mailbox: Mailbox = { ...world.mailbox, last: headIn(folder).base, lastTime: 0 };
      const entries: Entry[] = [];
      for (const { time, expiry, size, digest, version, ...entry } of [...live, newest(scene)]) {
        const other = entry.seq === seq ? sha256(Buffer.from(`${digest} ${entries.length}`)) : digest;
        const made = append(mailbox, { digest: other, size, version }, undefined, time, expiry - time);
        mailbox = made.mailbox;
        entries.push(made.entry);
      }
      folder.entries = printEntries([...dropped, ...entries]);
      folder.head = signHead(headOf(mailbox, DOMAIN, headIn(folder).state, world.time, 300), world.signer);
      folder.mail.delete(mailName(newest(scene)));
      return { memory: ["FORK"], fresh: ["DEVICE-FORK"] };
    },
  },
  {
    name: "history-told-shorter-to-a-new-device",
    apply(folder, { world }) {
      const { mail } = folder;
      mail.clear();
      folder.entries = Buffer.alloc(0);
      const { state } = headIn(folder);
      folder.head = signHead(headOf(newMailbox(world.standing.id), DOMAIN, state, world.time + 1, 300), world.signer);
      return { memory: ["ROLLBACK"], fresh: ["DEVICE-FORK"] };
    },
  },
];
