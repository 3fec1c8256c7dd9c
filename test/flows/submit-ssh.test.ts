import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tryExec } from "#host/exec.ts";
import { type SshStage, startSubmitSshd } from "#test/submit/ssh-stage.ts";
import { type SubmitStage, startSubmit } from "#test/submit/submit-stage.ts";

let stage: SubmitStage;
let ssh: SshStage;
let mail: string;

before(async () => {
  stage = await startSubmit();
  ssh = await startSubmitSshd(stage.folder, stage.config.socket);
  mail = `From: ${ssh.login}@example.org\nTo: bob@example.net\nSubject: hi\n\nhello\n`;
});

after(async () => {
  await ssh.stop();
  await stage.stop();
});

function taken(): number {
  return stage.smtpd.strict.taken.length;
}

test("a message goes through ssh, and its answer comes back apart: data, words, exit status", async () => {
  const sent = await ssh.ssh([], mail);
  assert.equal(sent.status, 0, JSON.stringify(sent));
  assert.match(sent.out[0] ?? "", /^accepted: 1 recipient/);
  assert.deepEqual(sent.err, []);
  assert.deepEqual(stage.smtpd.strict.taken.at(-1)?.recipients, ["bob@example.net"]);
  assert.equal((await ssh.ssh(["send", "o'brien@example.net"], mail)).status, 0);
  assert.deepEqual(stage.smtpd.strict.taken.at(-1)?.recipients, ["o'brien@example.net"]);
  assert.equal((await ssh.ssh(["  send   x@example.net  "], mail)).status, 0);
  assert.equal((await ssh.ssh(["   "], mail)).status, 0);
  const refused = await ssh.ssh([], mail.replace("From: ", "From: x"));
  assert.equal(refused.status, 77);
  assert.deepEqual(refused.out, []);
  assert.match(refused.err[0] ?? "", /^refused: /);
  assert.equal((await ssh.ssh(["check", "x@none.example"], "")).status, 75);
  assert.equal((await ssh.ssh(["help"], "")).status, 0);
});

test("nothing in a command is ever run", async () => {
  const trap = join(stage.folder, "trap");
  const touch = `touch ${trap}`;
  const before = taken();
  const commands = [
    `$(${touch})`,
    `\`${touch}\``,
    `; ${touch}`,
    `& ${touch} &`,
    `| ${touch}`,
    `send\n${touch}`,
    `\n${touch}\n`,
    `send'; ${touch}; '`,
    `send"; ${touch}; "`,
    `send \${x:=$(${touch})}`,
    `send $((x[$(${touch})]))`,
    `' -o '; ${touch}`,
    `help\nexit 0`,
    `help\nmessage\n`,
    "*",
    "send *",
    " -n",
    " -e \\c",
    " --",
    "%s%n%n%n",
    "\\000end of submission\\n",
    "~root",
    "login bob",
    "shoal-submit/v1",
    `exec ${touch}`,
    `/bin/sh -c '${touch}'`,
    `send $IFS ${touch}`,
    `send\t${touch}`,
    "\u0001\u007f\u009b",
    "scp -t /tmp",
    "internal-sftp",
    "/usr/lib/openssh/sftp-server",
    "rsync --server . /tmp",
  ];
  for (const command of commands) {
    const { status } = await ssh.ssh([command], mail);
    assert.ok(status === 64 || status === 67, `${JSON.stringify(command)}: ${status}`);
  }
  assert.equal((await ssh.ssh(["x".repeat(100_000)], mail)).status, 64);
  assert.equal((await ssh.ssh([" ".repeat(100_000)], mail)).status, 64);
  assert.ok(!existsSync(trap));
  assert.equal(taken(), before);
});

test("no shell, terminal, forwarding or subsystem", async () => {
  const sftp = await ssh.ssh(["sftp"], "", ["-s"]);
  assert.notEqual(sftp.status, 0);
  const forward = await ssh.ssh([], "", ["-W", `127.0.0.1:${stage.smtpd.strict.port}`]);
  assert.notEqual(forward.status, 0);
  assert.deepEqual(forward.out, []);
  assert.equal(
    (await ssh.ssh(["help"], "", ["-tt"])).err.some((line) => /PTY/.test(line)),
    true,
  );
});

test("the environment of users changes nothing, not even where sshd lets it in", async () => {
  const evil = join(stage.folder, "evil");
  await mkdir(evil);
  const trap = join(stage.folder, "trap-path");
  for (const name of ["nc", "cat", "sh", "printf"]) {
    await writeFile(join(evil, name), `#!/bin/sh\ntouch ${trap}\n`, { mode: 0o755 });
  }
  await writeFile(join(evil, "rc"), `touch ${trap}\n`);
  const open = await startSubmitSshd(stage.folder, stage.config.socket, ["AcceptEnv *"]);
  try {
    const variables: Record<string, string> = {
      LOGNAME: "bob",
      USER: "bob",
      HOME: evil,
      PATH: `${evil}:/usr/bin:/bin`,
      IFS: "oe/",
      ENV: join(evil, "rc"),
      LC_ALL: "en_US.UTF-8",
      PPID: "1",
      command: "send",
      verb: "send",
      pages: "1",
      socket: "/tmp/x",
    };
    // These are for the user's own shell, if it is bash, before the script: sshd must not let them in.
    const forShell = { BASH_ENV: join(evil, "rc"), SHELLOPTS: "xtrace", PS4: `$(touch ${trap})`, LD_PRELOAD: "/x" };
    const setting = (all: Record<string, string>): string => {
      const words = Object.entries(all).map(([name, value]) => `"${name}=${value}"`);
      return `SetEnv=${words.join(" ")}`;
    };
    const set = setting(variables);
    const closed = await ssh.ssh([], mail, ["-o", setting({ ...variables, ...forShell })]);
    assert.equal(closed.status, 0, JSON.stringify(closed));
    const own = await open.ssh([], mail, ["-o", set]);
    assert.equal(own.status, 0, JSON.stringify(own));
    const other = await open.ssh([], mail.replace(`${open.login}@`, "bob@"), ["-o", set]);
    assert.equal(other.status, 77);
    // Where sshd has been told of no command, a variable is one: of the same user, and read as strictly.
    assert.equal((await open.ssh([], mail, ["-o", `SetEnv="SSH_ORIGINAL_COMMAND=$(touch ${trap})"`])).status, 64);
    assert.ok(!existsSync(trap));
  } finally {
    await open.stop();
  }
});

test("large messages go through, larger ones are refused while they come, endless ones too", async () => {
  const line = `${"x".repeat(75)}\n`;
  const before = taken();
  const large = await ssh.ssh([], mail + line.repeat(450_000));
  assert.equal(large.status, 0, large.err.join());
  assert.equal(taken(), before + 1);
  assert.ok((stage.smtpd.strict.taken.pop()?.message.length ?? 0) > 34_000_000);
  const child = ssh.start([]);
  child.stdin.on("error", () => child.stdin.destroy());
  child.stdin.write(mail);
  const feeding = setInterval(() => {
    while (child.stdin.writable && !child.stdin.writableNeedDrain) child.stdin.write(line.repeat(1000));
  }, 5);
  const status = await new Promise((resolve) => child.on("close", resolve));
  clearInterval(feeding);
  assert.equal(status, 65);
});

test("who keeps the input open is answered all the same", async () => {
  const started = performance.now();
  for (const [command, status] of [
    ["help", 0],
    ["limits", 0],
    ["check x@example.net", 0],
    ["nonsense", 64],
    ["send x@@y", 67],
    ["send-anyway --what", 64],
  ] as const) {
    const child = ssh.start([command]);
    child.stdin.on("error", () => child.stdin.destroy());
    const ended = await new Promise((resolve) => child.on("close", resolve));
    child.stdin.destroy();
    assert.equal(ended, status, command);
  }
  assert.ok(performance.now() - started < 10_000);
});

test("a connection that is cut in the middle of a message sends nothing, nor does a client that is killed", async () => {
  const before = taken();
  const control = join(stage.folder, "cut-control");
  const shared = ["-o", `ControlPath=${control}`];
  const master = ssh.start([], ["-M", "-N", ...shared]);
  try {
    await appears(control);
    for (let turn = 0; turn < 40; turn += 1) {
      const child = ssh.start([], turn % 2 === 0 ? [] : shared);
      child.stdin.on("error", () => child.stdin.destroy());
      child.stdin.write(mail);
      child.stdin.write(`turn ${turn}\n${"a line\n".repeat(turn * 300)}`);
      await sleep(100 + turn * 5);
      child.kill(turn % 4 < 2 ? "SIGKILL" : "SIGINT");
      await new Promise((resolve) => child.on("close", resolve));
    }
    await sleep(1500);
    const sent = stage.smtpd.strict.taken.slice(before);
    assert.deepEqual(
      sent.map(({ message }) => /^turn .*$/m.exec(message.toString())?.[0]),
      [],
    );
  } finally {
    await ended(master);
  }
  // What dies in front of ssh ends its message like any other: only a number tells.
  const half = ssh.start(["send", "--bytes", String(mail.length)]);
  half.stdin.end(mail.slice(0, -3));
  assert.equal(await new Promise((resolve) => half.on("close", resolve)), 75);
  assert.equal(taken(), before);
  // What ends by itself is a message.
  const child = ssh.start([]);
  child.stdin.end(mail);
  assert.equal(await new Promise((resolve) => child.on("close", resolve)), 0);
});

async function appears(path: string): Promise<void> {
  for (let turn = 0; turn < 1000 && !existsSync(path); turn += 1) await sleep(50);
}

async function ended(child: ReturnType<SshStage["start"]>): Promise<void> {
  const closed = new Promise((resolve) => child.on("close", resolve));
  child.kill("SIGTERM");
  await closed;
}

test("no daemon, or one that dies: 75 and a sentence", async () => {
  const path = join(stage.folder, "other-socket");
  const dead = await startSubmitSshd(stage.folder, path);
  const listening = async (server: Server, work: () => Promise<void>): Promise<void> => {
    await rm(path, { force: true });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      await work();
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  };
  try {
    const none = await dead.ssh([], mail);
    assert.equal(none.status, 75);
    assert.equal(none.err.length, 1);
    for (const last of [
      "",
      "out accepted: 1 recipient\n",
      "exit 0",
      "exit 1\n",
      "exit 00\n",
      "exit 0 \n",
      "exit $?\n",
      "taken\n",
      "taken\nexit 1\n",
    ]) {
      const server = createServer((socket) => {
        socket.on("error", () => socket.destroy());
        socket.resume();
        socket.end(last);
      });
      await listening(server, async () => {
        const answer = await dead.ssh([], mail);
        assert.equal(answer.status, 75, JSON.stringify(last));
        // Whoever is gone before the end of the message is on its way can't have sent it; a moment later nobody knows.
        const fate = last.startsWith("taken") ? /it may have left/ : /nothing was sent|it may have left/;
        assert.match(answer.err.join(), fate, JSON.stringify(last));
      });
    }
    const silent = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.on("end", () => socket.destroy());
      socket.resume();
    });
    await listening(silent, async () => {
      const { status, err } = await dead.ssh([], mail);
      assert.equal(status, 75);
      assert.match(err.join(), /it may have left/, "it had all of the message");
    });
  } finally {
    await dead.stop();
  }
});

test("twenty at once, on one connection and on twenty", async () => {
  const control = join(stage.folder, "control");
  const shared = ["-o", `ControlPath=${control}`];
  const master = ssh.start([], ["-M", "-N", ...shared]);
  try {
    await appears(control);
    for (const options of [shared, []]) {
      const before = taken();
      const all = await Promise.all(Array.from({ length: 20 }, () => ssh.ssh([], mail, options)));
      assert.deepEqual(
        new Set(all.map(({ status }) => status)),
        new Set([0]),
        JSON.stringify(all.find((a) => a.status !== 0)),
      );
      assert.equal(taken(), before + 20);
    }
  } finally {
    await ended(master);
  }
});

test("no process of a submission stays behind", async () => {
  await sleep(500);
  const { stdout } = await tryExec("pgrep", ["-fa", stage.folder]);
  assert.deepEqual(
    stdout
      .toString()
      .split("\n")
      .filter((line) => /nc|submit/.test(line) && !/pgrep/.test(line) && !/sshd/.test(line)),
    [],
  );
});
