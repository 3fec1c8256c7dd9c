import { machinesOf, type Role, text } from "./role.ts";
import { rspamdConf } from "./rspamd-conf.ts";
import { rspamdConfFile, rspamdMachine, rspamdPort } from "./rspamd-machine.ts";

/** Odd form alone refuses no mail: an empty line as the whole message scores 25, a program's report without the usual fields 22. */
const rejectScore = 30;

/** What `shoalctl dns --check` starts for a moment, to see own mail as a stranger's filter does that knows nothing yet. */
export const judge = { port: 11_334, configFile: "/etc/rspamd/judge.conf" } as const;

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
      text(
        judge.configFile,
        rspamdConf({
          port: judge.port,
          modules: ["dkim", "dmarc", "spf"],
          filters: ["dkim"],
          resolver: view.fleet.resolver,
          rejectScore,
          workers: 1,
          judgesPrivate: true,
        }),
      ),
    ]),
};
