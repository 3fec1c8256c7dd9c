import { dkimSpecs } from "#fleet/dkim-state.ts";
import type { FileSpec, ScheduleSpec, ServiceSpec, UserSpec } from "#fleet/machine.ts";
import type { SubmitConfigInput } from "#roles/out/config.ts";
import { renderRelayScript } from "#roles/out/relay-script.ts";
import { outSmtpdConf } from "#roles/out/smtpd-conf.ts";
import { acceptParts } from "./accept.ts";
import { linkFiles, linkSecrets } from "./link.ts";
import { json, mayRead, mayWrite, node, program } from "./node-program.ts";
import { ownResolver, resolverFiles, resolverLinks, resolverService } from "./resolver.ts";
import {
  commonFiles,
  isTestWorld,
  type MachineId,
  machinesOf,
  type Role,
  type RoleView,
  secret,
  text,
} from "./role.ts";
import { rspamdPort, rspamdTunnel } from "./rspamd-machine.ts";
import { senders } from "./senders.ts";
import { signerConfig, signerFiles, signerService } from "./signer.ts";
import { sshdConfig, sshdFiles, sshdService } from "./sshd.ts";

/** smtpd's ports on the machine's own loopback. */
export const ports = { strict: 10_025, anyway: 10_027, dane: 10_028 } as const;
/** Where smtpd brings its notices to senders. */
const noticesPort = 10_029;
/** What `shoalctl dns --check` sends to itself. RFC 2606 keeps the name from ever being a domain. */
export const trial = { domain: "trial.invalid", port: 10_030 } as const;
const user = "shoal-submit";
const store = "/var/lib/shoal/submit";
const queueFolder = "/var/spool/smtpd";
const runFolder = "/run/submit";
const socket = `${runFolder}/socket`;
const configFile = "/etc/shoal/submit.json";
const threadKey = "/etc/shoal/thread.key";
const queueKey = "/etc/shoal/queue.key";
/** The forced command of all accounts, and their login shell too: there is nothing else to run. */
const relayScript = "/usr/lib/shoal/submit";

/** What docs/formats/submission.md allows at most. */
const mostRecipients = 100;
const mostBytes = 36_700_160;
/** Room on the disk of the queue under which smtpd's queue stands still; shoal-submit has refused mail before. */
const leastRoomMegabytes = 32;
/** smtpd counts the fields that it adds. */
const addedBytes = 65_536;

/** Has the key of the link to `spam-out`. */
const spamUser = "shoal-spam";

function users(view: RoleView): UserSpec[] {
  const names = [
    [user, 900] as const,
    [senders.name, senders.gid] as const,
    ...(judgeOf(view) === null ? [] : [[spamUser, 902] as const]),
  ];
  return names.map(([name, uid]) => ({ name, uid, group: name, home: "/nonexistent", shell: "/usr/sbin/nologin" }));
}

/** The machine `spam-out` that this one asks: they take turns. Null for fleets that have none. */
function judgeOf(view: RoleView): MachineId | null {
  const judges = machinesOf(view, "spam-out");
  return judges[(view.machine.number - 1) % judges.length] ?? null;
}

function judgesOf(view: RoleView): MachineId[] {
  const judge = judgeOf(view);
  return judge === null ? [] : [judge];
}

function accept(view: RoleView) {
  const serves = { role: "out", shell: relayScript, gid: senders.gid } as const;
  return acceptParts(view, { serves, owner: "root", ledgerUid: 901, folders: ["/etc"] });
}

function submitConfig(view: RoleView): SubmitConfigInput {
  const { fleet, machine } = view;
  return {
    domain: fleet.domain,
    hostname: machine.hostname,
    socket,
    store: `${store}/limits.db`,
    threadKey,
    resolver: ownResolver,
    ...(isTestWorld(fleet) ? { allowPrivate: true } : {}),
    queue: queueFolder,
    smtpd: ports,
    notices: {
      port: noticesPort,
      in: machinesOf(view, "in").map(({ address }) => ({ address, port: 25 })),
      maxMessageBytes: fleet.limits.messageBytes,
      queueHours: fleet.limits.queueHours,
    },
    dkim: signerConfig(view),
    ...(judgeOf(view) === null ? {} : { judge: { port: rspamdPort } }),
    limits: {
      messagesPerDay: fleet.limits.messagesPerDay,
      newRecipientsPerDay: fleet.limits.newRecipientsPerDay,
      recipients: mostRecipients,
      messageBytes: Math.min(fleet.limits.messageBytes, mostBytes),
    },
  };
}

function files(view: RoleView): FileSpec[] {
  const { fleet, machine } = view;
  const { login, files: acceptFiles } = accept(view);
  const config = submitConfig(view);
  const sshd = sshdConfig(
    [login, { user: "*", lines: [`ForceCommand ${relayScript}`] }],
    machinesOf(view, "ledger").map(({ address }) => address),
    false,
  );
  return [
    ...commonFiles(view, ownResolver.address),
    ...resolverFiles(view),
    ...sshdFiles(sshd, machine.name),
    ...acceptFiles,
    text(relayScript, renderRelayScript({ socket }), 0o755),
    json(configFile, config),
    secret(threadKey, `threads/${machine.name}`, user),
    ...signerFiles(view),
    ...judgesOf(view).flatMap((judge) => linkFiles(view, spamUser, [judge])),
    secret(queueKey, `queue/${machine.name}`, "root"),
    text(
      "/etc/smtpd.conf",
      outSmtpdConf({
        hostname: machine.hostname,
        domain: fleet.domain,
        inAddresses: machinesOf(view, "in").map(({ address }) => address),
        ports,
        trial,
        address: machine.address,
        anywayAddress: machine.secondAddress ?? machine.address,
        noticesPort,
        queueHours: fleet.limits.queueHours,
        warnHours: fleet.limits.warnHours,
        maxMessageBytes: config.limits.messageBytes + addedBytes,
        maxRecipients: config.limits.recipients,
      }),
    ),
    program("shoal-submit"),
    program("shoal-trial"),
  ];
}

/** For sh: whether the queue's disk has room. */
const hasRoom = `[ "$(df --output=avail -B1M ${queueFolder} | tail -n 1)" -ge ${leastRoomMegabytes} ]`;

/**
 * What smtpd delivers it decrypts into a file of the queue's disk first, and does not look whether the last 4 KB get there: on a full
 * disk it delivers small messages empty, and takes them for delivered. So its queue process is stopped while there is little room,
 * and nothing is delivered or lost.
 */
const queueGuard: ScheduleSpec = {
  name: "queue-guard",
  everySeconds: 1,
  user: "root",
  command: [
    "sh",
    "-c",
    [
      `signal=CONT; ${hasRoom} || signal=STOP`,
      'for queue in $(grep -al "^smtpd: queue" /proc/[0-9]*/cmdline); do queue=${queue#/proc/}; kill -$signal "${queue%/cmdline}"; done',
    ].join("\n"),
  ],
};

function services(view: RoleView): ServiceSpec[] {
  return [
    accept(view).service,
    sshdService,
    resolverService,
    signerService(view, user),
    ...judgesOf(view).map((judge) => rspamdTunnel(judge, spamUser)),
    {
      name: "smtpd",
      user: "root",
      listens: ports.strict,
      // A new queue process would work before the guard sees it.
      before: [["sh", "-c", `until ${hasRoom}; do sleep 1; done`]],
      command: ["sh", "-c", `exec /usr/sbin/smtpd -d < ${queueKey}`],
    },
    {
      name: "submit",
      user,
      listens: socket,
      before: [["install", "-d", "-o", user, "-g", senders.name, "-m", "710", runFolder]],
      command: node(
        "shoal-submit",
        ["serve", configFile],
        [...mayRead("/etc/ssl/certs", queueFolder), ...mayWrite(store, runFolder), "--allow-net"],
      ),
    },
  ];
}

/**
 * Takes mail from accounts over SSH and sends it. Where who may log in is decided, nothing of ours runs: the one command that sshd
 * runs hands name, command and message to shoal-submit, which is another user.
 */
export const outRole: Role = {
  name: "out",
  does: "accepts mail over SSH, sends it",
  whenTaken: "read or change mail leaving now; nothing stored",
  hasSecondAddress: true,
  secrets: (view) => {
    const { fleet, keys } = view;
    const { name, hostname } = view.machine;
    return [
      { name: `host/${name}`, kind: "ssh-ed25519", hostname },
      { name: `queue/${name}`, kind: "random-text", hostname },
      { name: `threads/${name}`, kind: "random-bytes", hostname },
      ...dkimSpecs(fleet.domain, keys.dkimGeneration),
      ...linkSecrets(view, judgesOf(view)),
    ];
  },
  links: (view) => {
    const { name } = view.machine;
    return [
      { from: "world", to: name, protocol: "tcp", port: 22 },
      // Mail, and the policies of MTA-STS.
      { from: name, to: "world", protocol: "tcp", port: 25 },
      { from: name, to: "world", protocol: "tcp", port: 443 },
      ...machinesOf(view, "in").map((one) => ({ from: name, to: one.name, protocol: "tcp" as const, port: 25 })),
      ...judgesOf(view).map((judge) => ({ from: name, to: judge.name, protocol: "tcp" as const, port: 22 })),
      ...resolverLinks(view),
    ];
  },
  machine: (view) => ({
    packages: ["smtp-server", "ssh-client", "validating-resolver", ...accept(view).packages],
    users: [...users(view), ...accept(view).users],
    folders: [
      ...accept(view).folders,
      { path: store, mode: 0o700, owner: user, group: user, keep: true },
      { path: queueFolder, mode: 0o711, owner: "root", group: "root", keep: true },
    ],
    files: files(view),
    services: services(view),
    schedules: [queueGuard],
  }),
};
