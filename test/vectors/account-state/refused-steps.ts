/** Well-made versions at the wrong place, at the wrong time, or by keys whose say is over. */

import { BACK, device, hurried, LAPTOP, M, NEW_MASTER, owner, PHONE, R, SPARE, taken, THIEF } from "./accepted.ts";
import { named } from "./keys.ts";
import { DOMAIN, HOUR, START, Story } from "./story.ts";

type Vector = [name: string, code: string, story: Story];

/** The first body's hash of another account of the same keys. */
function otherAccount(): Story {
  return new Story().add({ master: [M], recovery: [R], devices: [device(PHONE)], by: [M, R] });
}

/** A thief with the newer recovery key, then the owner with the older one, who removes it. */
function newerOusted(): Story {
  return owner()
    .add({ at: 60, recovery: [R, THIEF], by: [M, THIEF] })
    .add({ at: HOUR, recovery: [R], by: [R] });
}

/** A thief with the stolen master makes a recovery key and removes it, so that it would keep its say; then the owner comes. */
function spareHidden(): Story {
  return owner()
    .add({ at: HOUR, recovery: [R, SPARE], by: [M, SPARE] })
    .add({ at: HOUR + 60, master: [THIEF], recovery: [], by: [M, THIEF] })
    .add({ at: 2 * HOUR, ...BACK });
}

const THIEVES = { master: [THIEF], recovery: [] };

export function refusedSteps(): Vector[] {
  const two = owner().add({ at: 60, by: [M] });
  const example = { devices: [device(PHONE)], by: [M] };
  return [
    [
      "other-domain",
      "DOMAIN",
      owner().add({ ...example, head: { domain: "example.com" }, namespace: "account-state.v1@example.com" }),
    ],
    ["other-domain-signed-for-this-one", "DOMAIN", owner().add({ ...example, head: { domain: "example.com" } })],
    [
      "genesis-of-another-domain",
      "DOMAIN",
      new Story().add({ master: [M], devices: [device(LAPTOP)], by: [M], head: { domain: "sub.example.org" } }),
    ],
    ["other-account", "ACCOUNT", owner().add({ ...example, head: { account: otherAccount().id } })],
    [
      "other-account-and-its-version-before",
      "ACCOUNT",
      owner().add({ ...example, head: { account: otherAccount().id, prev: otherAccount().prev } }),
    ],
    ["version-skipped", "VERSION", owner().add({ ...example, head: { version: "3" } })],
    [
      "version-replayed",
      "VERSION",
      owner()
        .add({ at: 60, by: [M] })
        .add({ ...example, head: { version: "2", prev: owner().prev } }),
    ],
    ["version-after-the-largest", "VERSION", owner().add({ ...example, head: { version: "999999999999999" } })],
    ["genesis-replayed", "VERSION", owner().add({ head: { account: "-", version: "1", prev: "-" }, by: [M, R] })],
    [
      "another-genesis-behind-the-first",
      "VERSION",
      owner().add({ ...example, at: 60, head: { account: "-", version: "1", prev: "-" }, by: [M, R] }),
    ],
    [
      "chain-without-its-genesis",
      "VERSION",
      new Story().add({
        master: [M],
        devices: [device(LAPTOP)],
        head: { account: two.id, version: "2", prev: two.prev },
        by: [M],
      }),
    ],
    ["wrong-prev", "PREV", owner().add({ ...example, head: { prev: otherAccount().prev } })],
    [
      "prev-of-the-version-before-the-last",
      "PREV",
      owner()
        .add({ at: 60, by: [M] })
        .add({ ...example, head: { prev: owner().prev } }),
    ],
    [
      "prev-is-its-own-account",
      "PREV",
      owner().add({
        ...example,
        head: { prev: `${owner().id.replaceAll("-", "+").replaceAll("_", "/")}AAAAAAAAAAAAAAAAAAAAA=` },
      }),
    ],
    ["time-backwards", "TIME", owner().add({ ...example, at: HOUR, head: { time: String(START - 1) } })],
    [
      "time-601-seconds-ahead",
      "TIME",
      owner().add({ ...example, at: HOUR, head: { time: String(START + HOUR + 601) } }),
    ],
    [
      "genesis-time-601-seconds-ahead",
      "TIME",
      new Story().add({ master: [M], devices: [device(LAPTOP)], head: { time: String(START + 601) }, by: [M] }),
    ],
    [
      "acceptance-backwards",
      "TIME",
      owner()
        .add({ at: HOUR, by: [M] })
        .add({ ...example, at: HOUR - 1, head: { time: String(START + HOUR) } }),
    ],

    ["stolen-master-not-ousted-after-73-hours", "UNAUTHORIZED", taken().add({ at: 74 * HOUR, ...BACK })],
    ["stolen-master-not-ousted-after-72-hours-to-the-second", "UNAUTHORIZED", taken().add({ at: 73 * HOUR, ...BACK })],
    [
      "removed-recovery-key-signs-after-73-hours",
      "SIGNER",
      taken().add({ at: 74 * HOUR, master: [NEW_MASTER], by: [R, NEW_MASTER] }),
    ],
    [
      "removed-recovery-key-signs-beside-the-master-after-73-hours",
      "SIGNER",
      owner()
        .add({ at: HOUR, recovery: [], by: [M] })
        .add({ at: 74 * HOUR, by: [M, R] }),
    ],
    [
      "backdated-body-does-not-prolong-72-hours",
      "UNAUTHORIZED",
      taken().add({ at: 74 * HOUR, ...BACK, head: { time: String(START + 2 * HOUR) } }),
    ],
    [
      "72-hours-do-not-begin-anew-with-each-version",
      "UNAUTHORIZED",
      taken()
        .add({ at: 50 * HOUR, by: [THIEF] })
        .add({ at: 74 * HOUR, ...BACK }),
    ],
    [
      "72-hours-count-from-the-removal-as-recovery-key-though-it-stayed-a-master",
      "SIGNER",
      owner()
        .add({ at: HOUR, master: [M, R], recovery: [], by: [M] })
        .add({ at: 80 * HOUR, master: [M], by: [M] })
        .add({ at: 81 * HOUR, by: [R] }),
    ],
    [
      "removed-by-itself-then-tries-within-71-hours",
      "SIGNER",
      owner()
        .add({ at: HOUR, recovery: [], by: [M, R] })
        .add({ at: 72 * HOUR, by: [R] }),
    ],
    [
      "removed-by-the-older-recovery-key-then-tries-within-71-hours",
      "SIGNER",
      newerOusted().add({ at: 72 * HOUR, recovery: [], by: [THIEF] }),
    ],
    [
      "removed-by-the-older-recovery-key-then-restores-itself-within-71-hours",
      "UNAUTHORIZED",
      newerOusted().add({ at: 72 * HOUR, recovery: [R, THIEF], by: [THIEF] }),
    ],
    [
      "removed-by-a-recovery-key-of-the-same-version",
      "SIGNER",
      new Story()
        .add({ master: [M], recovery: [R, THIEF], devices: [device(LAPTOP)], by: [M, R, THIEF] })
        .add({ recovery: [R], by: [R] })
        .add({ at: HOUR, recovery: [], by: [THIEF] }),
    ],
    [
      "thief-hides-a-removed-recovery-key-and-uses-it-after-being-ousted",
      "SIGNER",
      spareHidden().add({ at: 3 * HOUR, ...THIEVES, by: [SPARE, THIEF] }),
    ],
    [
      "thief-hides-a-removed-recovery-key-and-restores-it-after-being-ousted",
      "UNAUTHORIZED",
      spareHidden().add({ at: 3 * HOUR, recovery: [R, SPARE], by: [SPARE] }),
    ],
    [
      "ousted-master-signs",
      "SIGNER",
      taken()
        .add({ at: 2 * HOUR, ...BACK })
        .add({ at: 3 * HOUR, by: [THIEF] }),
    ],
    [
      "ousted-first-master-signs",
      "SIGNER",
      taken()
        .add({ at: 2 * HOUR, ...BACK })
        .add({ at: 3 * HOUR, by: [M] }),
    ],
    [
      "removed-master-has-no-72-hours",
      "SIGNER",
      owner()
        .add({ at: HOUR, master: [NEW_MASTER], by: [M, NEW_MASTER] })
        .add({ at: HOUR + 1, by: [M] }),
    ],
    [
      "removed-master-signs-its-own-return",
      "UNAUTHORIZED",
      owner()
        .add({ at: HOUR, master: [NEW_MASTER], by: [M, NEW_MASTER] })
        .add({ at: HOUR + 1, master: [M], by: [M] }),
    ],
    [
      "removed-recovery-key-restored-without-its-signature",
      "POSSESSION",
      taken().add({ at: 2 * HOUR, recovery: [R], by: [THIEF] }),
    ],
    [
      "removed-recovery-key-made-master-without-its-signature",
      "POSSESSION",
      taken().add({ at: 2 * HOUR, master: [THIEF, R], by: [THIEF] }),
    ],
    [
      "recovery-key-made-device-then-signs-after-73-hours",
      "SIGNER",
      taken()
        .add({ at: 2 * HOUR, devices: [device(R)], by: [THIEF] })
        .add({ at: 74 * HOUR, by: [R] }),
    ],
    ["signature-of-an-older-version-used-again", "SIGNATURE", replayed()],
    ["241-versions-in-one-second", "PACE", hurried().add({ by: [M] })],
    ["241-versions-in-one-second-with-a-newer-recovery-key", "PACE", hurriedWithNewer()],
    ["recovery-key-of-another-account", "SIGNER", owner().add({ at: 60, by: [named("recovery of another account")] })],
    ["domain-is-a-prefix", "DOMAIN", owner().add({ ...example, head: { domain: DOMAIN.slice(0, -1) } })],
  ];
}

/** The same change again behind another version, with the signature of the first time. */
function replayed(): Story {
  const kept: string[] = [];
  return owner()
    .add({
      at: 60,
      devices: [device(PHONE)],
      by: [M],
      signatures: (made) => {
        kept.push(...made);
        return made;
      },
    })
    .add({ at: 120, devices: [device(LAPTOP)], by: [M] })
    .add({ at: 180, devices: [device(PHONE)], by: [M], signatures: () => kept });
}

function hurriedWithNewer(): Story {
  const story = owner().add({ recovery: [R, THIEF], by: [M, THIEF] });
  while (story.version < 240) story.add({ by: [THIEF] });
  return story.add({ by: [THIEF] });
}
