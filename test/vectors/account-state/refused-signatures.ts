/** Right bodies with wrong signatures. */

import { armorSignature, unarmorSignature } from "#core/ssh/armor.ts";
import { concat, ed25519, littleEndian, littleEndianOf, ORDER_25519, rsa, token, wire } from "../sshsig/keys.ts";
import { device, LAPTOP, M, NEW_MASTER, NEW_RECOVERY, owner, PHONE, R, STRANGER } from "./accepted.ts";
import { keyOf, named, publicVector, typed } from "./keys.ts";
import { Story, type Version } from "./story.ts";

type Vector = [name: string, code: string, story: Story];

/** The second version with a new device, otherwise changed so. */
const second = (name: string, code: string, version: Partial<Version>): Vector => [
  name,
  code,
  owner().add({ at: 60, devices: [device(LAPTOP), device(PHONE)], by: [M], ...version }),
];
const first = (name: string, code: string, version: Partial<Version>): Vector => [
  name,
  code,
  new Story().add({ master: [M], recovery: [R], devices: [device(LAPTOP)], by: [M, R], ...version }),
];

/** An ed25519 signature with S + L for S: the same number for a lenient verifier. */
function plusOrder(armored: string): string {
  const blob = unarmorSignature(armored);
  const s = littleEndianOf(littleEndian(blob.subarray(-32)) + ORDER_25519);
  return armorSignature(concat(blob.subarray(0, -32), s));
}

const NAMESPACE = "account-state.v1@example.org";

export function refusedSignatures(): Vector[] {
  const identity = keyOf({
    key: Buffer.from(publicVector("reject/ed25519-small-order-0-torsion").split(" ")[1] ?? "", "base64"),
    proof: () => concat(wire("ssh-ed25519"), wire(concat(Buffer.of(1), Buffer.alloc(63)))),
  });
  const untouched = keyOf(token(ed25519("account sk-ed25519 master"), { flags: 0 }));
  const flips = keyOf(token(ed25519("account sk-ed25519 master"), { flags: 0 }, { flags: 1 }));
  const withToken = (): Story =>
    new Story().add({
      master: [typed("sk-ed25519", "master")],
      recovery: [R],
      devices: [device(LAPTOP)],
      by: [typed("sk-ed25519", "master"), R],
    });
  const twenty = Array.from({ length: 20 }, (_, n) => named(`extra ${n}`));
  return [
    second("device-key-signs", "SIGNER", { by: [LAPTOP] }),
    second("device-key-signs-beside-a-master", "SIGNER", { by: [M, LAPTOP] }),
    second("new-device-key-signs", "SIGNER", { by: [PHONE] }),
    second("stranger-signs", "SIGNER", { by: [STRANGER] }),
    second("extra-signature-by-a-stranger", "SIGNER", { by: [M, STRANGER] }),
    second("extra-signature-by-a-stranger-in-front", "SIGNER", { by: [STRANGER, M] }),
    second("one-signature-twice", "SIGNER-TWICE", { by: [M, M] }),
    second("two-signatures-by-one-key", "SIGNER-TWICE", {
      signatures: ([one = ""], body) => [one, M.sign(NAMESPACE, body, { hash: "sha256" })],
    }),
    second("no-signature", "UNAUTHORIZED", { by: [] }),
    second("21-signatures", "SIGNED", { by: [M, ...twenty] }),
    second("other-namespace", "NAMESPACE", { namespace: "file" }),
    second("namespace-without-domain", "NAMESPACE", { namespace: "account-state.v1" }),
    second("namespace-of-another-domain", "NAMESPACE", { namespace: "account-state.v1@example.com" }),
    second("namespace-of-the-directory", "NAMESPACE", { namespace: "account-directory.v1@example.org" }),
    second("namespace-in-capitals", "NAMESPACE", { namespace: "Account-State.v1@example.org" }),
    second("second-signature-in-another-namespace", "NAMESPACE", {
      by: [M, R],
      signatures: ([one = ""], body) => [one, R.sign("file", body)],
    }),
    second("signature-of-another-body", "SIGNATURE", {
      signatures: (_, body) => [M.sign(NAMESPACE, body, { signed: Buffer.from("another\n") })],
    }),
    second("signature-of-the-body-without-its-line-end", "SIGNATURE", {
      signatures: (_, body) => [M.sign(NAMESPACE, body, { signed: body.subarray(0, -1) })],
    }),
    second("body-changed-after-signing", "SIGNATURE", {
      change: (signed) => signed.replace("device auth,seal", "device auth"),
    }),
    second("time-changed-after-signing", "SIGNATURE", {
      change: (signed) => signed.replace("\ntime 1800000060\n", "\ntime 1800000061\n"),
    }),
    second("second-signature-does-not-fit", "SIGNATURE", {
      by: [M, R],
      signatures: ([one = ""], body) => [one, R.sign(NAMESPACE, body, { signed: Buffer.alloc(0) })],
    }),
    second("signature-by-the-thief-under-the-owners-key", "SIGNATURE", { signatures: (_, body) => [pretending(body)] }),
    second("signature-s-plus-order", "SIGNATURE", { signatures: ([one = ""]) => [plusOrder(one)] }),
    second("small-order-key-signs", "KEY", { by: [identity] }),
    second("rsa-2048-stranger-signs", "KEY", { by: [keyOf(rsa("account rsa-2048", 2048))] }),
    ["sk-signature-without-touch", "TOUCH", withToken().add({ by: [untouched] })],
    ["sk-touch-claimed-after-signing", "SIGNATURE", withToken().add({ by: [flips] })],
    [
      "sk-genesis-without-touch",
      "TOUCH",
      new Story().add({ master: [typed("sk-ed25519", "master")], devices: [device(LAPTOP)], by: [untouched] }),
    ],
    second("signature-cut-off", "SIGNED", { change: (signed) => signed.slice(0, -10) }),
    second("signature-without-its-last-line-end", "SIGNED", { change: (signed) => signed.slice(0, -1) }),
    second("line-behind-the-signatures", "SIGNED", { change: (signed) => `${signed}x\n` }),
    second("empty-line-behind-the-signatures", "SIGNED", { change: (signed) => `${signed}\n` }),
    second("line-between-the-signatures", "SIGNED", {
      by: [M, R],
      signatures: ([one = "", two = ""]) => [one, `\n${two}`],
    }),
    second("signature-in-front-of-the-body", "STATE", {
      change: (signed) => {
        const at = signed.indexOf("-----BEGIN");
        return signed.slice(at) + signed.slice(0, at);
      },
    }),
    second("signature-with-crlf", "STATE", { signatures: ([one = ""]) => [one.replaceAll("\n", "\r\n")] }),
    second("signature-is-not-base64", "SSHSIG", { signatures: ([one = ""]) => [one.replace(/\n./, "\n!")] }),
    second("signature-of-zeros", "SSHSIG", { signatures: () => [armorSignature(Buffer.alloc(160))] }),
    second("signature-is-empty", "SSHSIG", {
      signatures: () => ["-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"],
    }),
    first("genesis-unsigned", "POSSESSION", { by: [] }),
    first("genesis-without-its-masters-signature", "POSSESSION", { by: [R] }),
    first("genesis-without-its-recovery-keys-signature", "POSSESSION", { by: [M] }),
    first("genesis-with-a-signature-by-its-device", "SIGNER", { by: [M, R, LAPTOP] }),
    first("genesis-with-a-signature-by-a-stranger", "SIGNER", { by: [M, R, STRANGER] }),
    second("new-master-without-its-own-signature", "POSSESSION", { master: [NEW_MASTER], by: [M] }),
    second("new-master-without-an-old-signature", "UNAUTHORIZED", { master: [NEW_MASTER], by: [NEW_MASTER] }),
    second("all-keys-new-and-signed-by-themselves", "UNAUTHORIZED", {
      master: [NEW_MASTER],
      recovery: [NEW_RECOVERY],
      by: [NEW_MASTER, NEW_RECOVERY],
    }),
    second("new-recovery-key-without-its-own-signature", "POSSESSION", { recovery: [R, NEW_RECOVERY], by: [M] }),
    second("new-recovery-key-without-an-old-signature", "UNAUTHORIZED", {
      recovery: [R, NEW_RECOVERY],
      by: [NEW_RECOVERY],
    }),
    second("device-key-becomes-master-by-itself", "UNAUTHORIZED", {
      master: [LAPTOP],
      devices: [device(PHONE)],
      by: [LAPTOP],
    }),
    second("device-key-becomes-master-without-its-signature", "POSSESSION", {
      master: [M, LAPTOP],
      devices: [device(PHONE)],
      by: [M],
    }),
  ];
}

/** The thief's signature with the public key of the owner's master in it. */
function pretending(body: Buffer): string {
  const [, blob = ""] = M.line.split(" ");
  const thief = ed25519("account thief");
  return keyOf({ key: Buffer.from(blob, "base64"), proof: (bytes) => thief.proof(bytes) }).sign(NAMESPACE, body);
}
