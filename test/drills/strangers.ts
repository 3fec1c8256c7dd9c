/** The strangers' side of a drill: they are handed the mails, and their logs say what they made of each. */

import { setTimeout as sleep } from "node:timers/promises";
import { accountOf } from "#core/mail/address.ts";
import type { DrillMail } from "#test/drills/drill-mail.ts";
import { deliveries, inbox, queue, type RunOnMachine, readLog, submitAll } from "#test/world/send.ts";
import type { Delivery } from "#test/world/stranger-log.ts";
import { exim, strangers } from "#test/world/world.ts";

/** Mails that both strangers get at a time. */
const groupMails = 20;

export class Strangers {
  readonly #run: RunOnMachine;
  /** Mail -> its queue id at its stranger. */
  readonly #ids = new Map<DrillMail, string>();
  #deliveries: Delivery[] = [];
  #abandoned = new Set<string>();

  constructor(run: RunOnMachine) {
    this.#run = run;
  }

  /** Hands all mails over, group by group, spread evenly over that time. */
  async handOver(mails: readonly DrillMail[], seconds: number): Promise<void> {
    const start = performance.now();
    for (let at = 0; at < mails.length; at += groupMails) {
      const group = mails.slice(at, at + groupMails);
      await Promise.all(
        strangers.map(async (stranger) => {
          const own = group.filter((mail) => mail.stranger === stranger);
          const ids = own.length === 0 ? [] : await submitAll(this.#run, stranger, own);
          for (const [index, mail] of own.entries()) this.#ids.set(mail, ids[index] ?? "");
        }),
      );
      const due = start + ((at + groupMails) / mails.length) * seconds * 1000;
      await sleep(Math.max(0, due - performance.now()));
    }
  }

  /** Ids of mails that the strangers still hold. */
  async queues(): Promise<string[]> {
    return (await Promise.all(strangers.map((stranger) => queue(this.#run, stranger)))).flat();
  }

  /** Reads the logs, for what follows. */
  async readLogs(): Promise<void> {
    this.#deliveries = (await Promise.all(strangers.map((stranger) => deliveries(this.#run, stranger)))).flat();
    // Exim 4.98 drops a recipient whom we had accepted when the connection ends (its front was killed) before it could
    // send the message: a defect of that sender, which leaves this line. Such mail was never accepted by anybody.
    const said = /^\S+ \S+ (\S+) peer close after all rcpt responses; converting i\/o-error to no-error$/gm;
    this.#abandoned = new Set([...(await readLog(this.#run, exim)).matchAll(said)].map(([, id = ""]) => id));
  }

  /** Mails that their sender may have dropped by its own defect. */
  get abandoned(): DrillMail[] {
    return [...this.#ids].filter(([, id]) => this.#abandoned.has(id)).map(([mail]) => mail);
  }

  /** Whether a stranger heard from us that the mail is accepted for that person. */
  wasAccepted(mail: DrillMail, person: string): boolean {
    return this.#tries(mail).some(({ to, status }) => status === "sent" && accountOf(to, "shoal.example") === person);
  }

  /** What the log says of a mail, for who has to find out why it is missing. */
  history(mail: DrillMail): string {
    return this.#tries(mail)
      .map(({ id, to, status, reason }) => `  ${id} ${to} ${status} ${reason}`)
      .join("\n");
  }

  /** Everything that we refused for good, and what the strangers told their own people about it. */
  async refusals(): Promise<string[]> {
    const refused = this.#deliveries.filter(({ status }) => status === "bounced");
    const notices = (await Promise.all(strangers.map((stranger) => inbox(this.#run, stranger)))).flat();
    return [
      ...refused.map(({ id, to, reason }) => `${id} ${to}: ${reason}`),
      ...notices.map((notice) => notice.toString("latin1")),
    ];
  }

  #tries(mail: DrillMail): Delivery[] {
    return this.#deliveries.filter(({ id }) => id === this.#ids.get(mail));
  }
}
