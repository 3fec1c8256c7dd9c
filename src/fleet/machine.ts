/**
 * A machine as data: what a target (cell, later openbsd) needs to make it run. Nothing here touches a system, and
 * nothing here belongs to one operating system: packages have neutral names which each target maps to its own.
 */

/** Where the bytes of a file come from. */
export type FileContent =
  /** Rendered text, shown by `shoalctl render`. */
  | { text: string }
  /** A private key made at bring-up; rendered output names it and never holds it. */
  | { secret: string }
  /** One of our built programs, `dist/NAME.mjs`. */
  | { program: string };

export interface FileSpec {
  /** Absolute path on the machine. */
  path: string;
  /** Permission bits, set-id bits included. */
  mode: number;
  owner: string;
  group: string;
  content: FileContent;
}

/** A folder; `keep` means its content outlives the machine (mail, queue), everything else is made anew at each start. */
export interface FolderSpec {
  path: string;
  mode: number;
  owner: string;
  group: string;
  keep: boolean;
}

/** An account of the machine: a system user or a mail user. No account has a password. */
export interface UserSpec {
  name: string;
  uid: number;
  /** Primary group; made with the same number when it does not exist. */
  group: string;
  home: string;
  /** Login shell; sshd needs one even where a command is forced. */
  shell: string;
}

/** A program that runs for ever and is started again when it ends. */
export interface ServiceSpec {
  name: string;
  command: readonly string[];
  /** Account it runs as; root only where the program itself gives up power. */
  user: string;
  /** TCP port or path of a Unix socket that it listens on once it is ready. */
  listens?: number | string;
  /** Commands run as root before each start. */
  before?: readonly (readonly string[])[];
}

/** A command that runs when the machine starts and then again `everySeconds` after each end. */
export interface ScheduleSpec {
  name: string;
  everySeconds: number;
  command: readonly string[];
  user: string;
}

/** A connection that the firewall lets through; everything else is dropped. */
export interface LinkSpec {
  /** Machine name, or "world". */
  from: string;
  /** Machine name, "world", or an IPv4 address outside the fleet. */
  to: string;
  protocol: "tcp" | "udp";
  port: number;
}

export interface MachineSpec {
  /** Unique in its network, also the name of its namespace: letters, digits, "-". */
  name: string;
  role: string;
  /** Fully qualified host name. */
  hostname: string;
  /** IPv4 address. */
  address: string;
  /** Another one that it can speak from; nobody reaches it there. */
  secondAddress?: string;
  /** Further ones, where it is reached as on the first. */
  moreAddresses?: readonly string[];
  /** Neutral package names. */
  packages: readonly string[];
  users: readonly UserSpec[];
  folders: readonly FolderSpec[];
  files: readonly FileSpec[];
  services: readonly ServiceSpec[];
  schedules: readonly ScheduleSpec[];
}

/** Machines and the only connections between them. */
export interface NetworkSpec {
  machines: readonly MachineSpec[];
  links: readonly LinkSpec[];
}
