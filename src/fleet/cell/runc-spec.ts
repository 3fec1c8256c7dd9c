/** The OCI runtime configuration of a cell (opencontainers/runtime-spec 1.0.2, config.md). Pure. */

import type { IdRange } from "./id-range.ts";

export interface CellSpec {
  root: string;
  hostname: string;
  range: IdRange;
  networkNamespace: string;
  /** Folders of the host mounted into the cell. */
  binds: readonly { source: string; destination: string }[];
}

/** What sshd, smtpd and runit need as root of their cell, and nothing about the host. */
export const capabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
];

export function runcSpec(cell: CellSpec): object {
  const mapping = [{ containerID: 0, hostID: cell.range.first, size: cell.range.size }];
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["/usr/bin/runsvdir", "-P", "/etc/service"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
      cwd: "/",
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      rlimits: [
        // A core file would be plaintext on a disk.
        { type: "RLIMIT_CORE", hard: 0, soft: 0 },
      ],
      noNewPrivileges: false,
    },
    root: { path: cell.root, readonly: false },
    hostname: cell.hostname,
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=262144k"],
      },
      { destination: "/run", type: "tmpfs", source: "run", options: ["nosuid", "nodev", "mode=755", "size=131072k"] },
      { destination: "/tmp", type: "tmpfs", source: "tmp", options: ["nosuid", "nodev", "mode=1777", "size=262144k"] },
      ...cell.binds.map(({ source, destination }) => ({
        destination,
        source,
        type: "bind",
        options: ["bind", "nosuid", "nodev", "noexec"],
      })),
    ],
    linux: {
      namespaces: [
        { type: "pid" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "user" },
        { type: "network", path: `/run/netns/${cell.networkNamespace}` },
      ],
      uidMappings: mapping,
      gidMappings: mapping,
      maskedPaths: [
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/scsi",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}
