/** Every kind of process on the way of mail out. */

import { holds, starts, type Victim } from "#test/drills/victims.ts";

export const outVictims: readonly Victim[] = [
  holds("user's ssh", "user", "ssh -F none", "out.mail."),
  starts("sshd", "out", "sshd: "),
  {
    kind: "sshd-session of accounts",
    machine: "out",
    is: (command) => /^sshd-session: (?!ledger)/.test(command),
  },
  holds("relay script", "out", "sh /usr/lib/shoal/submit"),
  holds("relay's netcat", "out", "nc -N -U /run/submit/socket"),
  holds("submit", "out", "/shoal-submit.mjs"),
  holds("signer", "out", "ssh-agent ", "/run/signer/"),
  starts("smtpd", "out", "/usr/sbin/smtpd", "runsv"),
  ...["control", "crypto", "dispatcher", "lookup", "queue", "scheduler"].map((name) =>
    starts(`smtpd: ${name}`, "out", `smtpd: ${name}`),
  ),
  starts("unbound", "out", "/usr/sbin/unbound"),
];
