import { type MachineId, machinesOf, type Role, type RoleView, text } from "./role.ts";
import { rspamdConf } from "./rspamd-conf.ts";
import { rspamdConfFile, rspamdMachine, rspamdPort } from "./rspamd-machine.ts";
import { rspamdRate } from "./rspamd-rate.ts";

/** shoal-submit prints every message in good form, so that nothing scores for odd form here. */
const rejectScore = 15;

/** Machines `out` take turns, as their own role says. */
function askersOf(view: RoleView): MachineId[] {
  const judges = machinesOf(view, "spam-out").length;
  return machinesOf(view, "out").filter(({ number }) => (number - view.machine.number) % judges === 0);
}

/**
 * rspamd for `out`, reached as `spam-in` is. It judges what is said, and how much: SPF, DKIM and DMARC say nothing about mail that
 * has not left yet, so it asks nobody.
 */
export const spamOutRole: Role = {
  name: "spam-out",
  does: "rspamd and rate judgement for `out`",
  whenTaken: "read mail leaving now, spoil verdicts; nothing stored",
  secrets: ({ machine }) => [{ name: `host/${machine.name}`, kind: "ssh-ed25519", hostname: machine.hostname }],
  links: () => [],
  machine: (view) =>
    rspamdMachine(view, askersOf(view), [
      rspamdConfFile(
        rspamdConf({
          port: rspamdPort,
          modules: ["chartable", "regexp"],
          filters: ["chartable", "regexp"],
          resolver: null,
          rejectScore,
          // It counts in its memory.
          workers: 1,
        }),
      ),
      text("/etc/rspamd/rspamd.local.lua", rspamdRate({ burst: 300, perHour: 300, refusedCosts: 30 })),
    ]),
};
