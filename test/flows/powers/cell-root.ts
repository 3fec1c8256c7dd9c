/** Root of a cell is nobody outside of it: each attempt fails there and works for the host's root. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { cellStatus } from "#fleet/cell/cell.ts";
import { cellPlaces, networkFolder } from "#fleet/cell/places.ts";
import { type ExecResult, tryExec } from "#host/exec.ts";
import type { Stage } from "#test/world/stage.ts";

const machines = ["in", "spam-in", "fetch", "keys", "ledger"];
const done = "attempt-done";

/** Numbers of system calls: name_to_handle_at, open_by_handle_at, finit_module. */
const calls = process.arch === "arm64" ? { name: 264, open: 265, load: 273 } : { name: 303, open: 304, load: 313 };

interface Attempt {
  what: string;
  /** A shell script that prints {@link done} when it got through; $1 is a process of the host. */
  script: string;
  /** The control runs in a mount namespace of its own, so that nothing of it stays. */
  control?: (stage: Stage) => readonly string[];
}

/** The classic way out of chroot(2), which does not lead out of a pivoted root. */
const breakOut = `perl -e '
  mkdir "/tmp/out"; open(my $root, "<", "/") or die; chroot "/tmp/out" or die; chdir "/tmp";
  chdir ".." for 1..64; chroot "." or die;
  print "${done}\\n" if -e "/var/lib/shoal/id-ranges"'`;

const attempts: readonly Attempt[] = [
  { what: "mount a file system", script: `mount -t tmpfs none /mnt && echo ${done}` },
  { what: "make a block device", script: `mknod /tmp/device b 7 0 && echo ${done}; rm -f /tmp/device` },
  { what: "make a character device", script: `mknod /tmp/device c 1 1 && echo ${done}; rm -f /tmp/device` },
  {
    what: "get more power in a namespace of its own",
    script: `unshare --user --map-root-user --mount true && echo ${done}`,
  },
  { what: "make a mount namespace", script: `unshare --mount true && echo ${done}` },
  {
    what: "make a network interface",
    script: `ip link add attempt type veth peer name attempt2 && echo ${done}; ip link delete attempt`,
  },
  {
    what: "change its own routes",
    script: `ip link set lo up; ip route add 192.0.2.0/24 dev lo && echo ${done}; ip route delete 192.0.2.0/24 dev lo`,
  },
  { what: "read packets", script: `perl -MSocket -e 'socket(S, 17, SOCK_RAW, 768) and print "${done}\\n"'` },
  { what: "forge packets", script: `perl -MSocket -e 'socket(S, AF_INET, SOCK_RAW, 255) and print "${done}\\n"'` },
  {
    what: "change a setting of the kernel",
    script: `cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern && echo ${done}`,
  },
  { what: "signal a process of the host", script: `kill -0 "$1" && echo ${done}` },
  { what: "see a process of the host", script: `test -d "/proc/$1" && echo ${done}` },
  {
    what: "open a file by its number on the disk",
    script: `perl -e '
      my $handle = pack("L L x128", 128, 0); my $mount = pack("L", 0); my $path = "/etc/hostname\\0";
      syscall(${calls.name}, -100, $path, $handle, $mount, 0) == 0 or die "name: $!";
      open(my $root, "<", "/etc") or die; syscall(${calls.open}, fileno($root), $handle, 0) >= 0 and print "${done}\\n"'`,
  },
  {
    what: "break out of its root folder",
    script: breakOut,
    control: (stage) => ["chroot", cellPlaces(stage.fleet.name, "alpha-fetch").root],
  },
];

async function onHost(stage: Stage, { script, control }: Attempt, pid: number): Promise<ExecResult> {
  const inside = control?.(stage) ?? ["unshare", "--mount", "--net"];
  return await tryExec("unshare", ["--mount", ...inside, "sh", "-c", script, "sh", String(pid)]);
}

export function cellRootTests(stage: () => Stage): void {
  describe("root of a cell", () => {
    const sleeper = spawn("sleep", ["300"], { stdio: "ignore" });
    after(() => sleeper.kill());
    const pidOf = async (machine: string): Promise<number> =>
      (await cellStatus(stage().fleet.name, `alpha-${machine}`))?.pid ?? 0;

    for (const attempt of attempts) {
      test(`can't ${attempt.what}`, async () => {
        const pid = sleeper.pid ?? 0;
        for (const machine of machines) {
          const { stdout } = await stage().exec(machine, ["sh", "-c", attempt.script, "sh", String(pid)]);
          assert.ok(!stdout.includes(done), machine);
        }
        const control = await onHost(stage(), attempt, pid);
        assert.ok(control.stdout.includes(done), `control: ${control.stderr}`);
      });
    }

    test("can't load a kernel module", async () => {
      const script = `perl -e 'open(my $file, "<", "/etc/hostname") or die; my $words = "\\0"; syscall(${calls.load}, fileno($file), $words, 0); print $! + 0'`;
      const [notPermitted, noModule, noModules] = ["1", "8", "38"];
      const control = (await tryExec("sh", ["-c", script])).stdout.toString("utf8");
      assert.ok([noModule, noModules].includes(control), `control: error ${control}`);
      for (const machine of machines) {
        const error = (await stage().exec(machine, ["sh", "-c", script])).stdout.toString("utf8");
        assert.equal(error, control === noModules ? noModules : notPermitted, machine);
      }
    });

    test("is somebody else outside: its own id for each role, which owns what it makes", async () => {
      const firsts = new Set<number>();
      for (const machine of machines) {
        const pid = await pidOf(machine);
        const [inside, first, size] = (await readFile(`/proc/${pid}/uid_map`, "utf8")).trim().split(/\s+/).map(Number);
        assert.deepEqual([inside, size], [0, 65_536]);
        assert.ok(first !== undefined && first >= 65_536, `root of ${machine} is ${first} outside`);
        firsts.add(first);
        await stage().exec(machine, ["touch", "/root/made"]);
        assert.equal((await lstat(`/proc/${pid}/root/root/made`)).uid, first);
      }
      assert.equal(firsts.size, machines.length);
    });

    test("has the capabilities that its services need and no other", async () => {
      for (const machine of machines) {
        const status = await readFile(`/proc/${await pidOf(machine)}/status`, "utf8");
        // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT
        const mask = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 18].reduce((sum, bit) => sum + 2 ** bit, 0);
        assert.match(status, new RegExp(`^CapBnd:\\t${mask.toString(16).padStart(16, "0")}$`, "m"), machine);
        assert.match(status, /^CapInh:\t0{16}$/m);
        assert.match(status, /^CapAmb:\t0{16}$/m);
      }
    });

    describe("looking for files of others", () => {
      const name = randomUUID();
      const folders = ["/root", "/run", "/tmp", "/dev/shm", "/etc"];
      before(async () => {
        for (const machine of machines) {
          const touch = folders.map((folder) => `${folder}/${name}.${machine}`);
          assert.equal((await stage().exec(machine, ["touch", ...touch])).status, 0);
        }
        assert.equal((await tryExec("touch", [join(networkFolder(stage().fleet.name), `${name}.host`)])).status, 0);
      });

      for (const machine of machines) {
        test(`finds its own on \`${machine}\``, async () => {
          const { stdout } = await stage().exec(machine, [
            "find",
            "/",
            "-name",
            `${name}*`,
            "-not",
            "-path",
            "/proc/*",
          ]);
          assert.deepEqual(
            stdout.toString("utf8").trim().split("\n").sort(),
            folders.map((folder) => `${folder}/${name}.${machine}`).sort(),
          );
          const other = await stage().exec(machine, [
            "sh",
            "-c",
            `find /proc/[0-9]*/root/ -maxdepth 2 -name '${name}*' | grep -v '\\.${machine}$'`,
          ]);
          assert.equal(other.stdout.toString("utf8"), "");
        });
      }
    });
  });
}
