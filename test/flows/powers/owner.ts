/** What an owner can do on `keys` with plain `sftp`: write into one file, read, list; and nothing else. */

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { asPerson, type Stage } from "#test/world/stage.ts";

/** Commands of sftp(1) that must fail; `state` and `big` are files of the owner's. */
const refused: readonly string[] = [
  "put state other",
  "put state answer/result",
  "put state answer/other",
  "put state account/chain",
  "get proposal",
  "rm proposal",
  "rm account/chain",
  "rename proposal other",
  "mkdir other",
  "rmdir answer",
  "ln proposal other",
  "ln -s /etc/passwd other",
  "chmod 666 proposal",
  "put big proposal",
  "get ../bob/account/chain",
  "ls ../../bob/account",
];

export function ownerTests(stage: () => Stage): void {
  describe("an account's owner on `keys`", () => {
    const sftp = async (command: string, key = "master_ed25519", at = "keys"): Promise<number | null> => {
      const options = `-i .config/shoal/default/${key} -o BatchMode=yes -o IdentitiesOnly=yes`;
      const line = `echo '${command}' | sftp -b - ${options} alice@${stage().address(at)}`;
      return (await stage().exec("user", asPerson("alice", line))).status;
    };
    /** Everything in the owners' folders but the proposals' content and times. */
    const folders = async (): Promise<string> => {
      const find = "find /srv/keys -printf '%p %U %G %m %y\\n' | sort; cat /srv/keys/*/account/chain";
      return (await stage().exec("keys", ["sh", "-c", find])).stdout.toString("latin1");
    };

    before(() => stage().as("alice", "echo no state > state && head -c 300000 /dev/zero > big"));

    test("puts a file into the one that is there, reads the chain, lists the answers", async () => {
      for (const command of ["put state proposal", "get account/chain chain", "ls -l answer", "put state proposal"]) {
        assert.equal(await sftp(command), 0, command);
      }
      const { stdout } = await stage().exec("keys", ["cat", "/srv/keys/alice/account/chain"]);
      assert.equal(await stage().as("alice", "cat chain"), stdout.toString("latin1"));
    });

    test("makes, replaces, renames and removes nothing, and writes no large file", async () => {
      await sftp("put state proposal");
      const earlier = await folders();
      for (const command of refused) assert.notEqual(await sftp(command), 0, command);
      // An answer to what was put may have come meanwhile.
      const without = (text: string): string => text.replaceAll(/^\/srv\/keys\/\w+\/answer\/\S+ .*\n/gm, "");
      assert.equal(without(await folders()), without(earlier));
      const { stdout } = await stage().exec("keys", ["stat", "-c", "%s", "/srv/keys/alice/proposal"]);
      assert.ok(Number(stdout.toString("utf8")) <= 262_144);
      assert.equal(await sftp("put state proposal"), 0, "and it works on after that");
    });

    test("logs in with no key of a device, and with no master key at `fetch`", async () => {
      assert.equal(await sftp("ls", "id_ed25519"), 255);
      assert.equal(await sftp("ls", "master_ed25519", "fetch"), 255);
      assert.equal(await sftp("ls", "id_ed25519", "fetch"), 0, "control");
    });
  });
}
