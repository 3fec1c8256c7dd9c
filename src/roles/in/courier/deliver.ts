/** One container to its accounts' fetch machines: all envelopes that the recipients need, or an error. */

import { FormatError, HostError } from "#core/errors.ts";
import { accountOf } from "#core/mail/address.ts";
import { type Envelope, parseEnvelopes } from "#core/mail/envelopes.ts";
import type { Directory } from "../directory.ts";
import type { FetchMachine } from "./fetch-machine.ts";
import type { UsageKeeper } from "./usage-keeper.ts";

export interface DelivererOptions {
  directory: Directory;
  machines: readonly FetchMachine[];
  usage: UsageKeeper;
  /** How long a lost connection is made again within one message. */
  patienceSeconds: number;
}

/** @returns a function that resolves when every recipient's envelope is durable, and throws otherwise */
export function deliverer(
  options: DelivererOptions,
): (message: Buffer, recipients: readonly string[]) => Promise<void> {
  const byName = new Map(options.machines.map((machine) => [machine.name, machine]));
  return async (message, recipients) => {
    const accounts = await options.directory.current();
    const envelopes = new Map(parseEnvelopes(message).map((envelope) => [envelope.account, envelope]));
    const deadline = Date.now() + options.patienceSeconds * 1000;
    const wanted = new Map<FetchMachine, Set<Envelope>>();
    for (const recipient of recipients) {
      const name = accountOf(recipient, accounts.domain);
      const account = name === null ? undefined : accounts.byName.get(name);
      if (account === undefined) throw new HostError("FILE", `"${recipient}" has no account any more`);
      const envelope = envelopes.get(account.name);
      if (envelope === undefined)
        throw new FormatError("ENVELOPES", `the container holds nothing for "${account.name}"`);
      const machine = byName.get(account.fetch);
      if (machine === undefined)
        throw new HostError("FILE", `machine "${account.fetch}" of "${account.name}" is not known`);
      wanted.set(machine, (wanted.get(machine) ?? new Set()).add(envelope));
    }
    await Promise.all(
      [...wanted].flatMap(([machine, set]) =>
        [...set].map(async (envelope) => {
          await machine.deposit(envelope, deadline);
          options.usage.deposited(machine.name, envelope.account, envelope.file.length, Math.floor(Date.now() / 1000));
        }),
      ),
    );
  };
}
