/** What the key of `in` can do on `ledger`: ask about deliveries and have them listed, and nothing else. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ExecResult } from "#host/exec.ts";
import type { Stage } from "#test/world/stage.ts";

const folder = "/etc/shoal/shoal-courier";
const ssh = `ssh -F none -i ${folder}/alpha-ledger -o UserKnownHostsFile=${folder}/known_hosts -o BatchMode=yes -o ConnectTimeout=5`;
const seen = "feature-seen";
const hello = "shoal-append/v1";

/** Runs a script as root of `in`; `SSH` in it logs in with that key, `TO` is the right account. */
async function onIn(stage: Stage, script: string): Promise<ExecResult> {
  const words = script.replaceAll("SSH", ssh).replaceAll("TO", `append@${stage.address("ledger")}`);
  return await stage.exec("in", ["bash", "-mc", words]);
}

/** Says lines to the ledger and gives what it says. */
async function say(stage: Stage, ...lines: readonly string[]): Promise<string> {
  const { stdout } = await onIn(stage, `{ printf '${lines.join("\\n")}\\n'; sleep 2; } | timeout 5 SSH TO`);
  return stdout.toString("latin1");
}

export function appendKeyTests(stage: () => Stage): void {
  describe("the key of `in` for `ledger`", () => {
    test("asks about deliveries, whatever command it names", async () => {
      const account = (
        await stage().exec("in", ["sed", "-n", "s/^account alice \\([^ ]*\\) .*/\\1/p", "/run/accept/recipients"])
      ).stdout
        .toString("utf8")
        .trim();
      const digest = "ab".repeat(32);
      assert.equal(await say(stage(), hello, `known 7 ${account} ${digest}`), `${hello}\nlack 7\n`);
      const named = `{ printf '${hello}\\n'; sleep 1; } | timeout 5 SSH TO echo ${seen}`;
      assert.equal((await onIn(stage(), named)).stdout.toString("latin1"), `${hello}\n`);
    });

    test("has nothing listed for an account that is none, and nothing taken away", async () => {
      const answer = await say(stage(), hello, `append 1 AAAAAAAAAAAAAAAAAAAAAA ${"ab".repeat(32)} 10 1`);
      assert.match(answer, /^shoal-append\/v1\nrefused 1 UNKNOWN-ACCOUNT /);
      for (const line of ["remove 1", "dump", "ask dump", "known 1", "append 1 x y 1 1", "status"]) {
        assert.equal(await say(stage(), hello, line), `${hello}\n`, line);
      }
    });

    test("has no shell, files, terminal or forwarding, and is nobody else", async () => {
      const features: Readonly<Record<string, string>> = {
        "a subsystem": `echo 'ls /' | timeout 5 sftp -b - -i ${folder}/alpha-ledger -o UserKnownHostsFile=${folder}/known_hosts TO | grep -q etc && echo ${seen}`,
        "a terminal": `timeout 5 SSH -tt TO 'tty && echo ${seen}' < /dev/null`,
        "a port": `sleep 1 | timeout 5 SSH -W 127.0.0.1:22 TO | grep -ao SSH-2.0 && echo ${seen}`,
        "the operator's socket": `timeout 6 SSH -N -L 7779:/run/ledger/socket TO & sleep 2; timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/7779; echo shoal-feed/v1 >&3; head -c 1 <&3' | grep -q . && echo ${seen}; wait`,
        "to be root": `timeout 5 ssh -i ${folder}/alpha-ledger -o UserKnownHostsFile=${folder}/known_hosts -o BatchMode=yes root@${stage().address("ledger")} echo ${seen}`,
        "to be the ledger": `timeout 5 ssh -i ${folder}/alpha-ledger -o UserKnownHostsFile=${folder}/known_hosts -o BatchMode=yes shoal-ledger@${stage().address("ledger")} echo ${seen}`,
      };
      for (const [what, script] of Object.entries(features)) {
        const { stdout } = await onIn(stage(), script);
        assert.ok(!stdout.includes(seen), what);
      }
    });

    test("whoever gets to be its user on `ledger` gets to that one socket", async () => {
      const as = (user: string, path: string): Promise<ExecResult> =>
        stage().exec("ledger", ["chpst", "-u", user, "sh", "-c", `test -S ${path} && echo ${seen}`]);
      assert.ok((await as("append", "/run/append/socket")).stdout.includes(seen), "control");
      assert.ok(!(await as("append", "/run/ledger/socket")).stdout.includes(seen));
      assert.ok((await as("shoal-ledger", "/run/ledger/socket")).stdout.includes(seen), "control");
      for (const file of ["/var/lib/shoal/ledger/signer", "/etc/shoal/shoal-ledger/alpha-fetch"]) {
        const read = (user: string): Promise<ExecResult> => stage().exec("ledger", ["chpst", "-u", user, "cat", file]);
        assert.notEqual((await read("append")).status, 0, file);
        assert.equal((await read("shoal-ledger")).status, 0, `control: ${file}`);
      }
    });
  });
}
