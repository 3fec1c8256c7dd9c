/** Root on `ledger` has the key that signs heads, and so can tell two devices two histories: until one sees the other's record. */

import { joinSigned } from "#core/account/signed-text.ts";
import { nextPoint } from "#core/mailbox/chain.ts";
import { type Head, printHead } from "#core/mailbox/head.ts";
import { headNamespace } from "#core/mailbox/signers.ts";
import { exec } from "#host/exec.ts";
import type { Attempt } from "./attempt.ts";
import { closeMailboxScene, type MailboxScene, openMailboxScene, placeFor } from "./mailbox.ts";
import { asRoot, domain, type Scene } from "./scene.ts";

const signerFile = "/var/lib/shoal/ledger/signer";

/** Signs with what lies on the machine. */
async function signAsLedger(scene: Scene, head: Head): Promise<Buffer> {
  const body = printHead(head);
  const script = `cat > /run/head && ssh-keygen -q -Y sign -n ${headNamespace(domain)} -f ${signerFile} /run/head 2>/dev/null && cat /run/head.sig; rm -f /run/head /run/head.sig`;
  return joinSigned({ body, signatures: [await asRoot(scene, "ledger", script, body)] });
}

/** The history without its last delivery, told later than the true one. */
async function forget({ scene, mailbox, unseen: [, hidden] }: MailboxScene): Promise<void> {
  const head = await mailbox.head();
  const before = (await mailbox.live()).filter(({ seq }) => seq < hidden.seq);
  let last = head.base;
  for (const entry of before) last = nextPoint(last, entry);
  await mailbox.put("ledger/head", await signAsLedger(scene, { ...head, last, time: head.time + 1 }));
  await mailbox.rewrite((lines) => lines.filter((line) => !line.startsWith(`${hidden.seq} `)));
  await mailbox.drop(`mail/${hidden.digest}.age`);
}

export const forkAttempts: readonly Attempt<Scene>[] = [
  {
    what: "hide a delivery by a second history from a device that knows the first",
    documented: "can't",
    async run(scene) {
      const it = await openMailboxScene(scene);
      try {
        await it.known.look();
        await forget(it);
        const { findings } = await it.known.look();
        return findings.some((code) => /^(?:FORK|ROLLBACK)$/.test(code)) ? null : `it says ${findings.join(", ")}`;
      } finally {
        await closeMailboxScene(it);
      }
    },
  },
  {
    what: "hide a delivery by a second history from one device, once another has seen a record of it",
    documented: "can't",
    async run(scene) {
      const it = await openMailboxScene(scene);
      try {
        await it.known.look();
        const copy = placeFor(scene, "fork");
        await exec("cp", ["-aT", it.mailbox.path, copy]);
        await forget(it);
        const deceived = await it.fresh.look();
        if (deceived.findings.length > 0) throw new Error(`the deceived device says ${deceived.findings.join(", ")}`);
        const before = new Set(await it.mailbox.names("del"));
        await scene.stage.as("alice", "XDG_STATE_HOME=$HOME/fresh/state shoal sync");
        const records = (await it.mailbox.names("del")).filter((name) => !before.has(name));
        if (records.length === 0) throw new Error("the deceived device left no record");
        // The true history again, and what the deceived device has written and removed.
        for (const file of ["head", "entries"])
          await exec("cp", [`${copy}/ledger/${file}`, `${it.mailbox.path}/ledger/${file}`]);
        const { findings } = await it.known.look();
        return findings.some((code) => code.startsWith("DEVICE-FORK")) ? null : `it says ${findings.join(", ")}`;
      } finally {
        await closeMailboxScene(it);
      }
    },
  },
];
