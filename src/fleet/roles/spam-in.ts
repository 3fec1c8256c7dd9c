import { machinesOf, type Role } from "./role.ts";
import { rspamdConf } from "./rspamd-conf.ts";
import { rspamdConfFile, rspamdMachine, rspamdPort } from "./rspamd-machine.ts";

/** Odd form alone refuses no mail: an empty line as the whole message scores 25, a program's report without the usual fields 22. */
const rejectScore = 30;

/** rspamd for `in`, reached through an SSH connection that can open one port and nothing else. */
export const spamInRole: Role = {
  name: "spam-in",
  does: "rspamd for `in`",
  whenTaken: "read mail arriving now, spoil verdicts; nothing stored",
  secrets: ({ machine }) => [{ name: `host/${machine.name}`, kind: "ssh-ed25519", hostname: machine.hostname }],
  links: (view) => [
    { from: view.machine.name, to: view.fleet.resolver, protocol: "udp", port: 53 },
    { from: view.machine.name, to: view.fleet.resolver, protocol: "tcp", port: 53 },
  ],
  machine: (view) =>
    rspamdMachine(view, machinesOf(view, "in"), [
      rspamdConfFile(
        rspamdConf({
          port: rspamdPort,
          modules: ["chartable", "dkim", "dmarc", "forged_recipients", "maillist", "once_received", "regexp", "spf"],
          filters: ["chartable", "dkim", "regexp"],
          resolver: view.fleet.resolver,
          rejectScore,
          workers: 2,
        }),
      ),
    ]),
};
