/** Vectors that are accepted. */

import { ageHybridKey, ageKey, KEY_TYPES, named, typed } from "./keys.ts";
import { HOUR, START, Story } from "./story.ts";

export const M = named("master");
export const R = named("recovery");
export const LAPTOP = named("laptop");
export const PHONE = named("phone");
export const THIEF = named("thief");
export const SPARE = named("thief's spare");
export const STRANGER = named("stranger");
export const NEW_MASTER = named("new master");
export const NEW_RECOVERY = named("new recovery");

export const device = (key: { line: string } | string, uses = "auth,seal"): string =>
  `${uses} ${typeof key === "string" ? key : key.line}`;

/** Version 1: one master, one recovery key, one device. */
export function owner(): Story {
  return new Story().add({ master: [M], recovery: [R], devices: [device(LAPTOP)], by: [M, R] });
}

/** The owner's account after a thief with the master key took it, one hour after version 1. */
export function taken(): Story {
  return owner().add({ at: HOUR, master: [THIEF], recovery: [], devices: [device(PHONE)], by: [M, THIEF] });
}

/** The owner takes it back with the recovery key. */
export const BACK = { master: [NEW_MASTER], recovery: [R], devices: [device(LAPTOP)], by: [R, NEW_MASTER] };

/** 240 versions at the same second, which is all that are saved up. */
export function hurried(): Story {
  const story = owner();
  while (story.version < 240) story.add({ by: [M] });
  return story;
}

export function acceptedVectors(): Map<string, Story> {
  const all = new Map<string, Story>();
  for (const type of KEY_TYPES) {
    const [master, recovery] = [typed(type, "master"), typed(type, "recovery")];
    const login = device(typed(type, "device"), "auth");
    const first = { master: [master], recovery: [recovery], devices: [login, device(LAPTOP, "seal")] };
    all.set(`genesis-${type}`, new Story().add({ ...first, by: [master, recovery] }));
    all.set(
      `genesis-${type}-then-changed-by-its-recovery-key`,
      new Story()
        .add({ ...first, by: [master, recovery] })
        .add({ at: 60, master: [NEW_MASTER], by: [recovery, NEW_MASTER] }),
    );
  }
  all.set("genesis-without-recovery-key", new Story().add({ master: [M], devices: [device(LAPTOP)], by: [M] }));
  all.set(
    "genesis-signatures-in-any-order",
    new Story().add({ master: [M], recovery: [R], devices: [device(LAPTOP)], by: [R, M] }),
  );
  all.set(
    "genesis-hash-sha256",
    new Story().add({ master: [M], recovery: [R], devices: [device(LAPTOP)], by: [M, R], hash: "sha256" }),
  );
  const five = (name: string) => [1, 2, 3, 4, 5].map((n) => named(`${name} ${n}`));
  const ten = (uses: string) => Array.from({ length: 10 }, (_, n) => device(named(`${uses} ${n}`), uses));
  const most = { master: five("master"), recovery: five("recovery"), devices: [...ten("auth"), ...ten("seal")] };
  all.set("genesis-as-many-keys-as-there-may-be", new Story().add({ ...most, by: [...most.master, ...most.recovery] }));
  all.set("genesis-ten-devices-for-both", new Story().add({ master: [M], devices: ten("auth,seal"), by: [M] }));
  all.set(
    "as-many-signatures-as-there-may-be",
    new Story().add({ ...most, by: [...most.master, ...most.recovery] }).add({
      master: five("next master"),
      recovery: five("next recovery"),
      by: [...five("next master"), ...most.master, ...five("next recovery"), ...most.recovery],
    }),
  );
  all.set(
    "seal-native-recipient",
    owner().add({ devices: [device(PHONE, "auth"), device(ageKey("phone"), "seal")], by: [M] }),
  );
  all.set(
    "seal-post-quantum-recipients-alone",
    owner().add({
      devices: [device(PHONE, "auth"), device(ageHybridKey("phone"), "seal"), device(ageHybridKey("laptop"), "seal")],
      by: [M],
    }),
  );
  all.set(
    "seal-native-and-ssh-recipients",
    owner().add({
      devices: [device(LAPTOP), device(typed("rsa", "device"), "seal"), device(ageKey("phone"), "seal")],
      by: [M],
    }),
  );
  all.set("short-domain", new Story("a").add({ master: [M], devices: [device(LAPTOP)], by: [M] }));

  all.set("device-added-by-master", owner().add({ at: 60, devices: [device(LAPTOP), device(PHONE)], by: [M] }));
  all.set("device-removed-by-recovery-key", owner().add({ at: 60, devices: [device(PHONE)], by: [R] }));
  all.set("nothing-but-the-version-changed", owner().add({ by: [M] }));
  all.set("master-changed", owner().add({ at: 60, master: [NEW_MASTER], by: [M, NEW_MASTER] }));
  all.set(
    "all-keys-changed",
    owner().add({
      at: 60,
      master: [NEW_MASTER],
      recovery: [NEW_RECOVERY],
      devices: [device(PHONE)],
      by: [NEW_RECOVERY, R, NEW_MASTER, M],
    }),
  );
  all.set("device-key-becomes-master", owner().add({ master: [LAPTOP], devices: [device(PHONE)], by: [M, LAPTOP] }));
  all.set("master-and-recovery-key-change-places", owner().add({ master: [R], recovery: [M], by: [M] }));
  all.set(
    "recovery-key-becomes-device-and-keeps-its-say",
    taken()
      .add({ at: 2 * HOUR, devices: [device(R)], by: [THIEF] })
      .add({ at: 71 * HOUR, ...BACK }),
  );

  all.set("time-as-before", owner().add({ at: HOUR, head: { time: String(START) }, by: [M] }));
  all.set("time-600-seconds-ahead", owner().add({ at: HOUR, head: { time: String(START + HOUR + 600) }, by: [M] }));
  all.set(
    "time-years-behind",
    new Story()
      .add({ master: [M], devices: [device(LAPTOP)], head: { time: "0" }, by: [M] })
      .add({ head: { time: "0" }, by: [M] }),
  );

  all.set("stolen-master-ousted-after-71-hours", taken().add({ at: 72 * HOUR, ...BACK }));
  all.set("stolen-master-ousted-in-the-last-second", taken().add({ at: 73 * HOUR - 1, ...BACK }));
  all.set(
    "times-in-bodies-do-not-count",
    taken()
      .add({ at: 2 * HOUR, head: { time: String(START + 2 * HOUR + 600) }, by: [THIEF] })
      .add({ at: 72 * HOUR, ...BACK, head: { time: String(START + 2 * HOUR + 600) } }),
  );
  all.set(
    "stolen-newer-recovery-key-ousted-by-the-older-after-71-hours",
    owner()
      .add({ at: 60, recovery: [R, THIEF], by: [M, THIEF] })
      .add({ at: HOUR, master: [SPARE], recovery: [THIEF], by: [THIEF, SPARE] })
      .add({ at: 72 * HOUR, ...BACK }),
  );
  all.set(
    "thief-makes-many-versions-and-is-ousted",
    [3, 4, 5, 6, 7]
      .reduce(
        (story, hour) => story.add({ at: hour * HOUR, master: [hour % 2 === 0 ? THIEF : SPARE], by: [THIEF, SPARE] }),
        taken(),
      )
      .add({ at: 71 * HOUR, ...BACK }),
  );
  all.set(
    "removed-twice-each-time-with-its-own-72-hours",
    taken()
      .add({ at: 2 * HOUR, recovery: [R], by: [THIEF, R] })
      .add({ at: 80 * HOUR, recovery: [], by: [THIEF] })
      .add({ at: 151 * HOUR, ...BACK }),
  );
  all.set(
    "restored-key-is-as-old-as-it-was",
    owner()
      .add({ at: 60, recovery: [R, THIEF], by: [M, THIEF] })
      .add({ at: HOUR, recovery: [THIEF], by: [THIEF] })
      .add({ at: 2 * HOUR, recovery: [R, THIEF], by: [R] })
      .add({ at: 3 * HOUR, master: [SPARE], recovery: [THIEF], by: [THIEF, SPARE] })
      .add({ at: 74 * HOUR, ...BACK }),
  );
  all.set(
    "recovery-key-moved-to-the-masters-keeps-its-72-hours",
    owner()
      .add({ at: HOUR, master: [THIEF, R], recovery: [], by: [M, THIEF] })
      .add({ at: 2 * HOUR, master: [THIEF], by: [THIEF] })
      .add({ at: 72 * HOUR, ...BACK }),
  );
  all.set(
    "removed-recovery-key-signs-a-state-that-does-not-name-it",
    taken().add({ at: 2 * HOUR, ...BACK, recovery: [NEW_RECOVERY], by: [R, NEW_MASTER, NEW_RECOVERY] }),
  );
  all.set(
    "recovery-key-removed-by-master-signs-beside-it",
    owner()
      .add({ at: 60, recovery: [], by: [M] })
      .add({ at: 120, by: [M, R] }),
  );
  all.set("oldest-recovery-key-signs-behind-240-versions-in-one-second", hurried().add({ ...BACK }));
  all.set("one-version-more-after-an-hour", hurried().add({ at: HOUR, by: [M] }));
  return all;
}
