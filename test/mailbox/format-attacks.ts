/** Bytes that say the right thing in another way than the one there is, or are signed for something else, by those who may sign. */

import { createHash } from "node:crypto";
import { hashOfBody, joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { stateNamespace } from "#core/account/state.ts";
import { firstPoint, nextPoint } from "#core/mailbox/chain.ts";
import {
  type DeletionRecord,
  deletionName,
  deletionNamespace,
  deviceOf,
  printDeletion,
  signDeletion,
} from "#core/mailbox/deletion.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { printHead } from "#core/mailbox/head.ts";
import { headNamespace, printSigners, signersNamespace } from "#core/mailbox/signers.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { type Attack, both, type Expected, headIn, liveLines, type Scene } from "./attacks.ts";
import { DOMAIN, type Folder } from "./fetch.ts";
import { keyFrom } from "./honest-world.ts";

type Edit = (text: string, scene: Scene) => string;

const replace =
  (pattern: RegExp, by: string): Edit =>
  (text) => {
    const changed = text.replace(pattern, by);
    if (changed === text) throw new RangeError(`nothing fits ${pattern}`);
    return changed;
  };

/** The head with its text edited, signed by the ledger. */
function head(name: string, edit: Edit): Attack {
  return {
    name: `head-${name}`,
    apply(folder, scene) {
      const body = Buffer.from(
        edit(splitSigned(folder.head ?? Buffer.alloc(0), 4096).body.toString("latin1"), scene),
        "latin1",
      );
      folder.head = joinSigned({ body, signatures: [signMessage(scene.world.signer, headNamespace(DOMAIN), body)] });
      return both("BAD-HEAD");
    },
  };
}

function headFor(name: string, namespace: string): Attack {
  return {
    name: `head-${name}`,
    apply(folder, { world }) {
      const { body } = splitSigned(folder.head ?? Buffer.alloc(0), 4096);
      folder.head = joinSigned({ body, signatures: [signMessage(world.signer, namespace, body)] });
      return both("BAD-HEAD");
    },
  };
}

/** Lines of another form; the hashes of the chain are made over them as they are, and the head is signed by the ledger. */
function entries(name: string, edit: (lines: string[]) => string[]): Attack {
  return {
    name: `entries-${name}`,
    apply(folder, { world }) {
      const { base } = headIn(folder);
      const text = (folder.entries ?? Buffer.alloc(0)).toString("latin1");
      const { dropped } = liveLines(folder);
      const lines = text.split(/(?<=\n)/);
      const changed = edit(lines.slice(dropped.length));
      folder.entries = Buffer.from([...lines.slice(0, dropped.length), ...changed].join(""), "latin1");
      let hash = base.seq === 0 ? firstPoint(world.standing.id).hash : base.hash;
      for (const line of changed) hash = createHash("sha256").update(hash, "hex").update(line, "latin1").digest("hex");
      const signed = headIn(folder);
      const body = printHead({ ...signed, last: { ...signed.last, hash } });
      folder.head = joinSigned({ body, signatures: [signMessage(world.signer, headNamespace(DOMAIN), body)] });
      return { memory: ["FORK"], fresh: ["LEDGER-BROKEN"] };
    },
  };
}

const lastLine =
  (edit: (line: string) => string) =>
  (lines: string[]): string[] => [...lines.slice(0, -1), edit(lines.at(-1) ?? "")];

function signers(name: string, edit: Edit, namespace = signersNamespace(DOMAIN)): Attack {
  return {
    name: `signers-${name}`,
    apply(folder, scene) {
      const { world } = scene;
      const body = Buffer.from(edit(printSigners(world.signerList).toString("latin1"), scene), "latin1");
      folder.signers = joinSigned({ body, signatures: [signMessage(world.root, namespace, body)] });
      return both("BAD-HEAD");
    },
  };
}

/** A record by a device of the account over a file that goes with it. */
function record(
  name: string,
  code: "UNSIGNED" | null,
  edit: Edit,
  changes: (
    record: DeletionRecord,
    scene: Scene,
  ) => { namespace?: string; signatures?: number; device?: string } = () => ({}),
): Attack {
  return {
    name: `record-${name}`,
    apply(folder: Folder, scene: Scene): Expected {
      const [device] = scene.world.devices;
      const [first, second] = scene.present;
      if (device === undefined || first === undefined || second === undefined) throw new RangeError("no device");
      const { last, time } = headIn(folder);
      const own: DeletionRecord = {
        account: scene.world.standing.id,
        device: deviceOf(device.key.publicKey),
        number: 999,
        time: scene.world.time,
        head: { ...last, time },
        deleted: [first, second].map(({ seq, digest }) => ({ seq, digest })),
      };
      const { namespace = deletionNamespace(DOMAIN), signatures = 1, device: other } = changes(own, scene);
      const text = printDeletion({ ...own, device: other ?? own.device }).toString("latin1");
      const body = Buffer.from(edit(text, scene), "latin1");
      const signature = signMessage(device.key, namespace, body);
      const file = deletionName({ ...own, device: other ?? own.device });
      folder.del.set(file, joinSigned({ body, signatures: Array.from({ length: signatures }, () => signature) }));
      const gone: readonly Entry[] = [first, second];
      for (const entry of gone) folder.mail.delete(mailName(entry));
      const missing = gone.map(({ seq }) => `MISSING ${seq}`);
      return both(...(code === null ? [] : [`${code} ${file}`]), ...missing);
    },
  };
}

const same: Edit = (text) => text;

export const formatAttacks: readonly Attack[] = [
  head("number-with-leading-zero", replace(/^last /m, "last 0")),
  head("number-with-sign", replace(/^last /m, "last +")),
  head("crlf", replace(/\n/g, "\r\n")),
  head("without-last-line-end", replace(/\n$/, "")),
  head("two-spaces", replace(/^time /m, "time  ")),
  head("fields-exchanged", replace(/^(time .*\n)(next .*\n)/m, "$2$1")),
  head("unknown-field", replace(/^time /m, "more 1\ntime ")),
  head("line-behind", replace(/$/, "\n")),
  head("other-version", replace(/\/v1\n/, "/v2\n")),
  head("hash-in-upper-case", (text) =>
    text.replace(/^last .*$/m, (line) => line.toUpperCase().replace("LAST", "last")),
  ),
  head("base-behind-last", replace(/^base \d+/m, "base 999999")),
  head("base-another-than-last", (text) => {
    const last = /^last (\d+)/m.exec(text)?.[1] ?? "";
    return text.replace(/^base .*$/m, `base ${last} ${"ab".repeat(32)}`);
  }),
  head("chain-begins-elsewhere", replace(/^base .*$/m, `base 0 ${"ab".repeat(32)}`)),
  head("next-not-later", (text) => text.replace(/^next .*$/m, `next ${/^time (.*)$/m.exec(text)?.[1] ?? ""}`)),
  head("next-too-late", (text) => text.replace(/^next .*$/m, `next ${Number(/^time (.*)$/m.exec(text)?.[1]) + 3601}`)),
  head("state-version-0", replace(/^state \d+/m, "state 0")),
  head("state-hash-not-canonical", (text) => text.replace(/^(state \d+ .{42})./m, "$1B")),
  head("of-another-domain", replace(/^domain .*$/m, "domain example.com")),
  headFor("signed-as-account-state", stateNamespace(DOMAIN)),
  headFor("signed-for-another-domain", headNamespace("example.com")),
  {
    name: "head-with-two-signatures",
    apply(folder, { world }) {
      const { body, signatures } = splitSigned(folder.head ?? Buffer.alloc(0), 4096);
      const other = signMessage(keyFrom(world.random), headNamespace(DOMAIN), body);
      folder.head = joinSigned({ body, signatures: [...signatures, other] });
      return both("BAD-HEAD");
    },
  },
  {
    name: "head-with-text-behind-its-signature",
    apply(folder) {
      folder.head = Buffer.concat([folder.head ?? Buffer.alloc(0), Buffer.from("\n")]);
      return both("BAD-HEAD");
    },
  },
  {
    name: "head-by-a-signer-that-ended",
    apply(folder, { world }) {
      const { time } = headIn(folder);
      const ended = world.signerList.signers.map((one) => ({ ...one, from: 0, until: time - 1 }));
      folder.signers = world.signedSigners({ ...world.signerList, signers: ended });
      return both("BAD-HEAD");
    },
  },
  {
    name: "head-by-a-signer-that-has-not-begun",
    apply(folder, { world }) {
      const { time } = headIn(folder);
      const later = world.signerList.signers.map((one) => ({ ...one, from: time + 1, until: time + 86_400 }));
      folder.signers = world.signedSigners({ ...world.signerList, signers: later });
      return both("BAD-HEAD");
    },
  },
  entries(
    "number-with-leading-zero",
    lastLine((line) => `0${line}`),
  ),
  entries(
    "two-spaces",
    lastLine((line) => line.replace(" ", "  ")),
  ),
  entries(
    "tab",
    lastLine((line) => line.replace(" ", "\t")),
  ),
  entries(
    "crlf",
    lastLine((line) => line.replace("\n", "\r\n")),
  ),
  entries(
    "digest-in-upper-case",
    lastLine((line) => line.replace(/[0-9a-f]{64}/, (digest) => digest.toUpperCase())),
  ),
  entries(
    "field-behind",
    lastLine((line) => line.replace("\n", " 1\n")),
  ),
  entries(
    "kept-for-0-seconds",
    lastLine((line) => line.replace(/^(\d+ \d+) \d+/, "$1 0")),
  ),
  entries(
    "size-0",
    lastLine((line) => line.replace(/ \d+ (?=[0-9a-f]{64})/, " 0 ")),
  ),
  entries(
    "version-0",
    lastLine((line) => line.replace(/ \d+\n$/, " 0\n")),
  ),
  entries(
    "time-goes-back",
    lastLine((line) => line.replace(/^(\d+) \d+/, "$1 1")),
  ),
  entries("digest-twice", (lines) => {
    const digest = / ([0-9a-f]{64}) /.exec(lines.at(-2) ?? "")?.[1] ?? "";
    return lastLine((line) => line.replace(/[0-9a-f]{64}/, digest))(lines);
  }),
  entries(
    "number-skipped",
    lastLine((line) => line.replace(/^\d+/, (seq) => String(Number(seq) + 1))),
  ),
  signers("of-another-domain", replace(/example\.org/g, "example.com")),
  signers("option-missing", replace(/,valid-before="[^"]*"/, "")),
  signers("of-another-namespace", replace(/namespaces="[^"]*"/, 'namespaces="*"')),
  signers("no-date", replace(/valid-before="\d{4}\d\d/, 'valid-before="209913')),
  signers("local-time", replace(/Z",valid-before/, '",valid-before')),
  signers("cert-authority", replace(/^ledger /m, "ledger cert-authority,")),
  signers("comment-behind-key", replace(/\n$/, " comment\n")),
  signers("without-a-signer", replace(/^ledger .*\n/gm, "")),
  signers("signed-as-head", same, headNamespace(DOMAIN)),
  record("number-with-leading-zero", null, replace(/^number /m, "number 0")),
  record("crlf", null, replace(/\n/g, "\r\n")),
  record("not-sorted", null, replace(/^(\d+ .*\n)(\d+ .*\n)$/m, "$2$1")),
  record("line-twice", null, replace(/(\d+ [0-9a-f]{64}\n)$/, "$1$1")),
  record("without-lines", null, replace(/(\d+ [0-9a-f]{64}\n)+$/, "")),
  record("behind-its-head", null, replace(/^head \d+/m, "head 1")),
  record("with-two-signatures", null, same, () => ({ signatures: 2 })),
  record("signed-as-account-state", "UNSIGNED", same, () => ({ namespace: stateNamespace(DOMAIN) })),
  record("signed-for-another-domain", "UNSIGNED", same, () => ({ namespace: deletionNamespace("example.com") })),
  record("names-another-device", "UNSIGNED", same, (_, { world }) => {
    const [, other] = world.devices;
    return { device: other === undefined ? "0".repeat(16) : deviceOf(other.key.publicKey) };
  }),
  headSeenByDevice("record-saw-another-entry", (seen) => ({ hash: hashOfHex(seen.hash) })),
  headSeenByDevice("record-saw-more-entries-before", (seen) => ({ seq: seen.seq + 1, time: seen.time - 1 })),
  headSeenByDevice("record-saw-fewer-entries-later", (seen, { world }) => {
    const [before] = world.kept.slice(-2);
    return { seq: before?.seq ?? 0, hash: hashBefore(world), time: seen.time + 1 };
  }),
  {
    name: "record-saw-another-file",
    apply(folder, scene) {
      const [deleted] = scene.present;
      if (deleted === undefined) throw new RangeError("nothing is present");
      putRecord(folder, scene, {}, { seq: deleted.seq, digest: hashOfHex(deleted.digest) });
      return both("DEVICE-FORK");
    },
  },
];

function headSeenByDevice(
  name: string,
  change: (seen: DeletionRecord["head"], scene: Scene) => Partial<DeletionRecord["head"]>,
): Attack {
  return {
    name,
    apply(folder, scene) {
      const [deleted] = scene.present;
      if (deleted === undefined) throw new RangeError("nothing is present");
      const { last, time } = headIn(folder);
      putRecord(folder, scene, change({ ...last, time }, scene), deleted);
      return both("DEVICE-FORK");
    },
  };
}

/** A record of a device of the account that saw this. */
function putRecord(
  folder: Folder,
  { world }: Scene,
  seen: Partial<DeletionRecord["head"]>,
  { seq, digest }: Pick<Entry, "seq" | "digest">,
): void {
  const [device] = world.devices;
  if (device === undefined) throw new RangeError("no device");
  const { last, time } = headIn(folder);
  const own: DeletionRecord = {
    account: world.standing.id,
    device: deviceOf(device.key.publicKey),
    number: 999,
    time: world.time,
    head: { ...last, time, ...seen },
    deleted: [{ seq, digest }],
  };
  folder.del.set(deletionName(own), signDeletion(own, DOMAIN, device.key));
}

/** H of the entry before the last. */
function hashBefore({ mailbox, kept }: Scene["world"]): string {
  let point = mailbox.dropped;
  for (const entry of kept.slice(0, -1)) point = nextPoint(point, entry);
  return point.hash;
}

const hashOfHex = (text: string): string => Buffer.from(hashOfBody(Buffer.from(text)), "base64").toString("hex");
