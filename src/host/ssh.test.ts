import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HostError, VerifyError } from "#core/errors.ts";
import { exec } from "#host/exec.ts";
import { freePort, startSshd, type TestSshd } from "#test/sshd.ts";
import { SftpConnection } from "./sftp.ts";
import { type SshOptions, sshArguments } from "./ssh.ts";

describe("failures are told apart", () => {
  let sshd: TestSshd;
  let folder: string;
  before(async () => {
    sshd = await startSshd(["Banner none", "MaxAuthTries 4"]);
    folder = await mkdtemp(join(tmpdir(), "shoal-ssh-"));
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "stranger")]);
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "secret", "-f", join(folder, "locked")]);
  });
  after(async () => {
    await sshd.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function failure(change: Partial<SshOptions>): Promise<HostError | VerifyError> {
    try {
      const sftp = await SftpConnection.open({ ...sshd.target, ...change });
      await sftp.end();
    } catch (error) {
      assert.ok(error instanceof HostError || error instanceof VerifyError, String(error));
      assert.ok(error.hint !== undefined && error.hint !== "", "a hint says what to do");
      return error;
    }
    throw new assert.AssertionError({ message: "the connection worked" });
  }

  const messages = new Map<string, string>();
  function isNew(kind: string, error: Error): void {
    for (const [other, message] of messages) assert.notEqual(error.message, message, `${kind} reads like ${other}`);
    messages.set(kind, error.message);
  }

  test("nothing wrong", async () => {
    const sftp = await SftpConnection.open(sshd.target);
    await sftp.end();
  });

  test("changed host key", async () => {
    const knownHostsFile = join(folder, "changed");
    const other = (await readFile(join(folder, "stranger.pub"), "utf8")).trim();
    await writeFile(knownHostsFile, `[127.0.0.1]:${sshd.port} ${other}\n`);
    const error = await failure({ knownHostsFile });
    assert.ok(error instanceof VerifyError);
    assert.equal(error.code, "HOST-KEY");
    isNew("changed", error);
  });

  test("revoked host key", async () => {
    const knownHostsFile = join(folder, "revoked");
    const line = await readFile(sshd.knownHostsFile, "utf8");
    await writeFile(knownHostsFile, `@revoked ${line}${line}`);
    const error = await failure({ knownHostsFile });
    assert.ok(error instanceof VerifyError);
    assert.equal(error.code, "HOST-KEY");
    isNew("revoked", error);
  });

  test("unknown host key", async () => {
    const knownHostsFile = join(folder, "empty");
    await writeFile(knownHostsFile, "");
    const error = await failure({ knownHostsFile });
    assert.ok(error instanceof VerifyError);
    assert.equal(error.code, "HOST-KEY-UNKNOWN");
    isNew("unknown", error);
  });

  test("login refused", async () => {
    const error = await failure({ identityFiles: [join(folder, "stranger")] });
    assert.equal(error.code, "LOGIN");
    isNew("refused login", error);
  });

  test("key file that others may read", async () => {
    const file = join(folder, "open");
    await writeFile(file, await readFile(sshd.identityFile));
    await chmod(file, 0o644);
    const error = await failure({ identityFiles: [file] });
    assert.equal(error.code, "AUTH");
    isNew("open key", error);
  });

  test("key with a passphrase and nobody to ask", async () => {
    assert.equal((await failure({ identityFiles: [join(folder, "locked")] })).code, "LOGIN");
  });

  test("wrong passphrase", async () => {
    const program = join(folder, "askpass");
    await writeFile(program, '#!/bin/sh\necho "$ANSWER"\n', { mode: 0o755 });
    const askpass = { program, env: { ANSWER: "wrong" } };
    const error = await failure({ identityFiles: [join(folder, "locked")], askpass });
    assert.equal(error.code, "LOGIN");
  });

  test("connection refused", async () => {
    const error = await failure({ port: await freePort() });
    assert.equal(error.code, "NETWORK");
    isNew("connection refused", error);
  });

  test("name not found", async () => {
    const error = await failure({ host: "does-not-exist.invalid" });
    assert.equal(error.code, "NETWORK");
    isNew("no name", error);
  });

  test("unreachable", async () => {
    const error = await failure({ host: "240.0.0.1", connectTimeoutSeconds: 2 });
    assert.equal(error.code, "NETWORK");
  });

  test("closed at once, and never answering", async () => {
    const server = createServer((socket) => socket.destroy());
    const silent = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const ports = [server, silent].map((each) => (each.address() as { port: number }).port);
    const closed = await failure({ port: ports[0] ?? 0 });
    assert.equal(closed.code, "NETWORK");
    isNew("closed", closed);
    const timeout = await failure({ port: ports[1] ?? 0, connectTimeoutSeconds: 1 });
    assert.equal(timeout.code, "NETWORK");
    isNew("timeout", timeout);
    server.close();
    silent.close();
  });

  test("no ssh on this computer", async () => {
    const error = await failure({ program: join(folder, "no-such-program") });
    assert.equal(error.code, "EXEC");
    isNew("no ssh", error);
  });

  test("a server's text can't pretend to be ssh's", async () => {
    const program = join(folder, "pretender");
    const version = "\\0\\0\\0\\5\\2\\0\\0\\0\\3";
    const text = "REMOTE HOST IDENTIFICATION HAS CHANGED \\033[2J";
    await writeFile(program, `#!/bin/sh\nprintf '${version}'\nprintf '${text}\\n' >&2\nsleep 0.2\nexit 255\n`, {
      mode: 0o755,
    });
    const sftp = await SftpConnection.open({ host: "liar.example", program });
    await assert.rejects(sftp.lstat("x"), (error: unknown) => {
      assert.ok(error instanceof HostError && error.code === "NETWORK");
      assert.ok(!error.message.includes("\x1b"));
      return true;
    });
  });
});

test("file transfer refused by the server", async () => {
  const sshd = await startSshd([], false);
  try {
    await assert.rejects(SftpConnection.open(sshd.target), { code: "AUTH", message: /file transfer/ });
  } finally {
    await sshd.stop();
  }
});

describe("arguments", () => {
  test("nothing that a profile says becomes an option", () => {
    for (const host of ["-oProxyCommand=touch /tmp/x", "", "a b", "a;b", "$(id)", "a\nb"]) {
      assert.throws(() => sshArguments({ host }, "sftp"), { code: "ADDRESS" }, JSON.stringify(host));
    }
    for (const user of ["-l", "a b", "a@b", "", "a\nb"]) {
      assert.throws(() => sshArguments({ host: "h", user }, "sftp"), { code: "ADDRESS" }, JSON.stringify(user));
    }
    for (const knownHostsFile of ['a"b', "a\nb", "${HOME}/x"]) {
      assert.throws(() => sshArguments({ host: "h", knownHostsFile }, "sftp"), { code: "USAGE" });
    }
  });

  test("percent signs and blanks in file names survive ssh's own expansion", async () => {
    const folder = await mkdtemp(join(tmpdir(), "shoal %h -"));
    try {
      const args = sshArguments({ host: "h.example", knownHostsFile: join(folder, "known hosts") }, "sftp");
      const { stdout } = await exec("ssh", ["-G", ...args.slice(0, args.indexOf("-s")), "h.example"]);
      assert.match(stdout.toString(), /^userknownhostsfile .*shoal %%?h -/m);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
