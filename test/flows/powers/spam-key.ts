/** What the key of `in` for `spam-in` can do: open one port. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Stage } from "#test/world/stage.ts";

const folder = "/etc/shoal/shoal-spam";
const ssh = `ssh -F none -i ${folder}/alpha-spam-in -o UserKnownHostsFile=${folder}/known_hosts -o BatchMode=yes`;

/** Runs a script as root of `in`; `SSH` in it logs in with that key, `TO` is the right account. */
async function onIn(stage: Stage, script: string): Promise<{ stdout: string; stderr: string }> {
  const words = script.replaceAll("SSH", ssh).replaceAll("TO", `rspamd-link@${stage.address("spam-in")}`);
  const { stdout, stderr } = await stage.exec("in", ["bash", "-mc", words]);
  return { stdout: stdout.toString("latin1"), stderr };
}

/** Asks over the port or socket that -W opens. */
async function through(stage: Stage, port: string): Promise<string> {
  const { stdout, stderr } = await onIn(
    stage,
    `{ printf 'GET /ping HTTP/1.0\\r\\n\\r\\n'; sleep 0.7; } | SSH -W ${port} TO`,
  );
  return `${stdout}${stderr}`;
}

/** A socket on `spam-in` that says who it is. */
const greeter = `perl -MIO::Socket::UNIX -e '
  my $s = IO::Socket::UNIX->new(Local => "/run/greeter.sock", Listen => 9) or die;
  chmod 0777, "/run/greeter.sock";
  exit if fork;
  close STDOUT; close STDERR;
  while (my $c = $s->accept) { print $c "greeting\\n"; close $c }'`;
const askGreeter = `perl -MIO::Socket::UNIX -e 'print IO::Socket::UNIX->new(Peer => "/run/greeter.sock")->getline'`;

export function spamKeyTests(stage: () => Stage): void {
  describe("the key of `in` for `spam-in`", () => {
    test("opens rspamd's port and no other", async () => {
      assert.match(await through(stage(), "127.0.0.1:11333"), /^HTTP\/1\.1 200 OK\r\n/);
      for (const port of [
        "127.0.0.1:22",
        "127.0.0.1:11334",
        "localhost:22",
        `${stage().address("spam-in")}:11333`,
        `${stage().address("spam-in")}:22`,
        `${stage().address("fetch")}:22`,
        `${stage().address("in")}:25`,
      ]) {
        assert.match(await through(stage(), port), /administratively prohibited/, port);
      }
    });

    test("opens no socket", async () => {
      await stage().exec("spam-in", ["sh", "-c", greeter]);
      const control = await stage().exec("spam-in", ["chpst", "-u", "rspamd-link", "sh", "-c", askGreeter]);
      assert.equal(control.stdout.toString("utf8"), "greeting\n", "control: its account may open the socket");
      const open = (where: string): string =>
        `timeout 3 SSH -N -L 7778:${where} TO & sleep 1; timeout 1 bash -c 'cat </dev/tcp/127.0.0.1/7778'; wait`;
      const { stdout, stderr } = await onIn(stage(), open("/run/greeter.sock"));
      assert.equal(stdout, "");
      assert.match(stderr, /channel \d+: open failed/);
    });

    test("runs nothing and listens nowhere", async () => {
      for (const args of ["TO id", "-tt TO id", "-s TO sftp </dev/null"]) {
        assert.deepEqual((await onIn(stage(), `SSH ${args}; echo $?`)).stdout.replace("255", "1"), "1\n", args);
      }
      const { stderr } = await onIn(stage(), "timeout 5 SSH -N -o ExitOnForwardFailure=yes -R 7777:127.0.0.1:22 TO");
      assert.match(stderr, /remote port forwarding failed/);
    });

    test("logs in as nobody else", async () => {
      for (const login of ["root", "_rspamd", "sshd"]) {
        const { stderr } = await onIn(stage(), `SSH ${login}@${stage().address("spam-in")} id`);
        assert.match(stderr, /Permission denied \(publickey\)/, login);
      }
      assert.doesNotMatch((await onIn(stage(), "SSH TO id")).stderr, /Permission denied/, "control");
    });
  });
}
