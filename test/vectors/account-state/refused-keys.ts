/** Keys that may not stand in a state, or not in this place. */

import { bytesFrom, concat, ed25519, rsa, token, wire } from "../sshsig/keys.ts";
import { device, LAPTOP, M, owner, PHONE, R, THIEF } from "./accepted.ts";
import { ageHybridKey, ageKey, collidingKeys, type Key, keyOf, publicVector, typed } from "./keys.ts";
import { encodeBech32 } from "#core/age/bech32.ts";
import { HOUR, Story } from "./story.ts";

type Vector = [name: string, code: string, story: Story];

/** A stolen master adds this recovery key. */
const asRecovery = (name: string, key: Key): Vector => [name, "KEY", owner().add({ recovery: [R, key], by: [M, key] })];
const asDevice = (name: string, code: string, ...devices: string[]): Vector => [
  name,
  code,
  owner().add({ devices, by: [M] }),
];

/** A point of small order with a signature that fits every message: R is the identity, S is 0. */
function forging(path: string): Key {
  const line = publicVector(path);
  const [type = "", blob = ""] = line.split(" ");
  const forged = concat(wire("ssh-ed25519"), wire(concat(Buffer.of(1), Buffer.alloc(63))));
  const inside = { key: Buffer.from(blob, "base64"), proof: () => forged };
  if (type === "ssh-ed25519") return keyOf(inside);
  return { line, sign: THIEF.sign };
}

/** A key that nobody can sign with, signed for by somebody. */
const silent = (line: string): Key => ({ line, sign: THIEF.sign });

export function refusedKeys(): Vector[] {
  const [one, two] = collidingKeys();
  const rsa2048 = keyOf(rsa("account rsa-2048", 2048));
  const otherApplication = keyOf(token(ed25519("account web"), { application: "https://example.org" }));
  const smallAge = encodeBech32("age", Buffer.alloc(32));
  const native = ageKey("phone");
  return [
    asRecovery(
      "small-order-key-as-new-recovery-key-with-a-forged-signature",
      forging("reject/ed25519-small-order-0-torsion"),
    ),
    asRecovery("small-order-key-of-order-8-as-new-recovery-key", forging("reject/ed25519-small-order-1-torsion")),
    asRecovery(
      "mixed-order-key-as-new-recovery-key",
      silent(publicVector("reject/ed25519-mixed-order-plus-1-torsion")),
    ),
    asRecovery(
      "mixed-order-key-of-order-2-as-new-recovery-key",
      silent(publicVector("reject/ed25519-mixed-order-plus-4-torsion")),
    ),
    asRecovery(
      "non-canonical-point-as-new-recovery-key",
      silent(publicVector("reject/ed25519-non-canonical-y-is-p-plus-3")),
    ),
    asRecovery(
      "non-canonical-identity-as-new-recovery-key",
      forging("reject/ed25519-non-canonical-identity-y-is-p-plus-1"),
    ),
    asRecovery("off-curve-point-as-new-recovery-key", silent(publicVector("reject/ed25519-off-curve-y"))),
    asRecovery("small-order-sk-key-as-new-recovery-key", silent(publicVector("reject/sk-ed25519-small-order"))),
    asRecovery("rsa-2048-as-new-recovery-key", rsa2048),
    asRecovery("rsa-3071-bits-as-new-recovery-key", silent(publicVector("reject/rsa-3071-bits"))),
    asRecovery("rsa-exponent-3-as-new-recovery-key", keyOf(rsa("account rsa-3", 3072, 3n))),
    asRecovery("sk-key-of-another-application", otherApplication),
    asRecovery("ecdsa-compressed-point", silent(publicVector("reject/ecdsa-compressed-point"))),
    asRecovery("ecdsa-off-curve", silent(publicVector("reject/ecdsa-off-curve"))),
    asRecovery("certificate-as-recovery-key", silent(publicVector("reject/certificate"))),
    asRecovery("age-recipient-as-recovery-key", silent(native)),
    asRecovery("key-with-comment", { line: `${THIEF.line} comment`, sign: THIEF.sign }),
    asRecovery("key-behind-two-spaces", { line: THIEF.line.replace(" ", "  "), sign: THIEF.sign }),
    asRecovery("key-base64-with-a-character-too-many", silent(`${THIEF.line}=`)),
    [
      "rsa-2048-as-master-of-a-genesis",
      "KEY",
      new Story().add({ master: [rsa2048], devices: [device(LAPTOP)], by: [rsa2048] }),
    ],
    [
      "small-order-key-as-master-of-a-genesis",
      "KEY",
      new Story().add({
        master: [forging("reject/ed25519-small-order-0-torsion")],
        devices: [device(LAPTOP)],
        by: [forging("reject/ed25519-small-order-0-torsion")],
      }),
    ],
    asDevice(
      "small-order-key-to-seal-to",
      "KEY",
      device(LAPTOP),
      device(publicVector("reject/ed25519-small-order-0-torsion"), "seal"),
    ),
    asDevice("small-order-age-recipient", "KEY", device(LAPTOP), device(smallAge, "seal")),
    asDevice(
      "mixed-order-device-key",
      "KEY",
      device(LAPTOP),
      device(publicVector("reject/ed25519-mixed-order-plus-1-torsion")),
    ),
    asDevice("rsa-2048-device-key", "KEY", device(LAPTOP), device(rsa2048)),
    asDevice("age-recipient-to-log-in-with", "KEY", device(LAPTOP), device(native)),
    asDevice("ecdsa-key-to-seal-to", "KEY", device(LAPTOP), device(typed("nistp256", "device"))),
    asDevice("sk-key-to-seal-to", "KEY", device(LAPTOP), device(typed("sk-ed25519", "device"), "seal")),
    asDevice("age-recipient-in-capitals", "KEY", device(LAPTOP), device(native.toUpperCase(), "seal")),
    asDevice(
      "age-recipient-with-wrong-checksum",
      "KEY",
      device(LAPTOP),
      device(`${native.slice(0, -1)}${native.endsWith("q") ? "p" : "q"}`, "seal"),
    ),
    asDevice(
      "age-plugin-recipient",
      "KEY",
      device(LAPTOP),
      device(encodeBech32("age1yubikey", bytesFrom("yubikey", 33)), "seal"),
    ),
    asDevice("age-tag-of-another-key", "KEY-TAG", device(one), device(two)),
    asDevice("age-tag-of-another-key-that-only-seals", "KEY-TAG", device(one), device(two, "seal")),
    asDevice("post-quantum-beside-ssh-recipient", "KEY-MIX", device(LAPTOP), device(ageHybridKey("phone"), "seal")),
    asDevice(
      "post-quantum-beside-native-recipient",
      "KEY-MIX",
      device(PHONE, "auth"),
      device(native, "seal"),
      device(ageHybridKey("phone"), "seal"),
    ),
    asDevice("no-seal-key", "NO-SEAL-KEY", device(LAPTOP, "auth")),
    asDevice("no-auth-key", "NO-AUTH-KEY", device(LAPTOP, "seal")),
    asDevice("no-device", "NO-AUTH-KEY"),
    asDevice("key-in-two-device-lines", "KEY-TWICE", device(LAPTOP, "auth"), device(LAPTOP, "seal")),
    asDevice("master-is-a-device", "KEY-TWICE", device(LAPTOP), device(M, "auth")),
    asDevice("recovery-key-is-a-device", "KEY-TWICE", device(LAPTOP), device(R, "seal")),
    ["master-is-a-recovery-key", "KEY-TWICE", owner().add({ recovery: [R, M], by: [M] })],
    [
      "recovery-key-swapped-into-a-device-line-while-it-stays",
      "KEY-TWICE",
      owner().add({ at: HOUR, devices: [device(R)], by: [M] }),
    ],
    [
      "key-in-two-lines-of-a-genesis",
      "KEY-TWICE",
      new Story().add({ master: [M], recovery: [M], devices: [device(LAPTOP)], by: [M] }),
    ],
  ];
}
