/** The attacks on a mailbox as attempts of root on `fetch`: each must be named by both devices, and nothing of it opened. */

import type { Attempt } from "./attempt.ts";
import { closeMailboxScene, type Look, type MailboxScene, openMailboxScene, restoreHonest } from "./mailbox.ts";
import { type Expected, type MailboxAttack, mailboxAttacks } from "./mailbox-attacks.ts";
import { client, type Scene } from "./scene.ts";

/** Attacks are counted once for each device that must name them. */
export interface MailboxTally {
  attacks: number;
  named: number;
  /** Findings where nobody attacks, and such as the attack does not deserve. */
  falseAlarms: number;
}

const opened = new WeakMap<Scene, { mailbox: MailboxScene; tally: MailboxTally }>();

/** What the attempts have counted; null if none was made. */
export function mailboxTally(scene: Scene): MailboxTally | null {
  return opened.get(scene)?.tally ?? null;
}

async function mailboxOf(scene: Scene): Promise<{ mailbox: MailboxScene; tally: MailboxTally }> {
  const known = opened.get(scene);
  if (known !== undefined) return known;
  const fresh = { mailbox: await openMailboxScene(scene, true), tally: { attacks: 0, named: 0, falseAlarms: 0 } };
  opened.set(scene, fresh);
  await expectHonest(fresh);
  return fresh;
}

/** Both devices look at what nobody has touched. */
async function expectHonest({ mailbox, tally }: { mailbox: MailboxScene; tally: MailboxTally }): Promise<void> {
  await restoreHonest(mailbox);
  for (const [name, device] of [
    ["known", mailbox.known],
    ["fresh", mailbox.fresh],
  ] as const) {
    const { findings, status, said } = await device.look();
    tally.falseAlarms += findings.length;
    if (status !== 0) throw new Error(`a ${name} device finds fault with an honest mailbox: ${said.slice(-500)}`);
  }
  await restoreHonest(mailbox);
}

function attemptOf(attack: MailboxAttack): Attempt<Scene> {
  return {
    what: `${attack.what}, unnoticed`,
    documented: "can't",
    async run(scene) {
      const { mailbox, tally } = await mailboxOf(scene);
      const expected = await attack.apply(mailbox);
      const unnoticed: string[] = [];
      for (const name of ["known", "fresh"] as const) {
        const looks = [await mailbox[name].look()];
        if (attack.minutes !== undefined) looks.push(await mailbox[name].look(attack.minutes));
        unnoticed.push(...judge(name, looks, expected, tally));
        unnoticed.push(...opensTooMuch(name, looks, expected, mailbox));
      }
      return unnoticed.length === 0 ? null : unnoticed.join("; ");
    },
    async mend(scene) {
      const it = await mailboxOf(scene);
      await expectHonest(it);
      // The ledger may speak again.
      if (attack === mailboxAttacks.at(-1)) await closeMailboxScene(it.mailbox);
    },
  };
}

/** What is not as expected of one device, in words. */
function judge(name: "known" | "fresh", looks: readonly Look[], expected: Expected, tally: MailboxTally): string[] {
  const [last] = looks.slice(-1);
  const wanted = [...expected[name]].sort();
  const found = last?.findings ?? [];
  const missed = wanted.filter((code) => !found.includes(code));
  const saying = name === "known" ? expected.knownSays : undefined;
  if (saying !== undefined) {
    wanted.push(saying.source);
    if (!saying.test(last?.said ?? "")) missed.push(saying.source);
  }
  const undeserved = found.filter((code) => !wanted.includes(code));
  tally.falseAlarms += undeserved.length;
  if (wanted.length > 0) {
    tally.attacks += 1;
    if (missed.length === 0) tally.named += 1;
  }
  const wrong: string[] = [];
  if (missed.length > 0) wrong.push(`a ${name} device does not say ${missed.join(", ")}`);
  if (undeserved.length > 0) wrong.push(`a ${name} device says ${undeserved.join(", ")}`);
  if (looks.some(({ said }) => said.includes("forged"))) wrong.push(`a ${name} device shows forged text`);
  if (wrong.length > 0) wrong.push(last?.said.slice(-300) ?? "");
  return wrong;
}

const closing = /^(?:BAD-HEAD|WRONG-MAILBOX|LEDGER-BROKEN|ROLLBACK|FORK|DEVICE-FORK)$/;

/** Each may open what it has not stored before, if it is there, genuine, and nothing closes the mailbox. */
function opensTooMuch(
  name: "known" | "fresh",
  looks: readonly Look[],
  expected: Expected,
  { present, unseen }: MailboxScene,
): string[] {
  const codes = expected[name];
  const named = new Set(codes.map((code) => Number(code.split(" ")[1])));
  const genuine = (name === "known" ? unseen : present).filter(({ seq }) => !named.has(seq)).length;
  const removed = name === "known" ? 0 : (expected.freshOpensRemoved ?? 0);
  const most = codes.some((code) => closing.test(code)) ? 0 : genuine + removed;
  const stored = looks.reduce((sum, look) => sum + look.stored, 0);
  return stored > most ? [`a ${name} device has opened ${stored} mails, expected at most ${most}`] : [];
}

/** What was stored long ago is not fetched again at each sync; `shoal verify` does that. */
const changedLater: Attempt<Scene> = {
  what: "change a mail that its owner's device has fetched and kept, unnoticed by shoal verify",
  documented: "can't",
  async run(scene) {
    const { mailbox } = await mailboxOf(scene);
    const [entry] = mailbox.present;
    if (entry === undefined) throw new Error("nothing is present");
    const file = `mail/${entry.digest}.age`;
    const bytes = await mailbox.mailbox.read(file);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await mailbox.mailbox.put(file, bytes);
    const { status, said } = await client(scene, "alice", "shoal verify");
    return status === 76 && said.includes("MODIFIED") ? null : `shoal verify ended with ${status}: ${said.slice(-300)}`;
  },
  async mend(scene) {
    await expectHonest(await mailboxOf(scene));
  },
};

export const mailboxRootAttempts: readonly Attempt<Scene>[] = [changedLater, ...mailboxAttacks.map(attemptOf)];
