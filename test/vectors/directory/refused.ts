/** Vectors that are refused, each named after what is tried. */

import { type Key, keyOf, named, publicVector, typed } from "../account-state/keys.ts";
import { ed25519, rsa, token } from "../sshsig/keys.ts";
import { accountId, addition, empty, OPERATOR, type Record, Records, SECOND, START, three } from "./records.ts";

type Vector = [name: string, code: string, records: Records];

const STRANGER = named("stranger");
const next = (name: string, code: string, record: Record): Vector => [
  name,
  code,
  three().add({ at: 180, changes: [addition("dora")], ...record }),
];
const edited = (name: string, edit: (body: string) => string): Vector => next(name, "DIRECTORY", { edit });
const headed = (name: string, head: NonNullable<Record["head"]>): Vector => next(name, "DIRECTORY", { head });
const changed = (name: string, code: string, ...changes: string[]): Vector => next(name, code, { changes });
const malformed = (name: string, ...changes: string[]): Vector => changed(name, "DIRECTORY", ...changes);
const wrongName = (name: string, account: string): Vector => changed(name, "NAME", addition(account));

const swapped = (body: string, word: string): string => {
  const lines = body.split("\n");
  const at = lines.findIndex((line) => line.startsWith(`${word} `));
  const [one = "", two = ""] = lines.splice(at, 2);
  lines.splice(at, 0, two, one);
  return lines.join("\n");
};

function bodies(): Vector[] {
  const prev = three().prev;
  return [
    edited("crlf", (body) => body.replaceAll("\n", "\r\n")),
    edited("trailing-space", (body) => body.replace("\nprev", " \nprev")),
    edited("trailing-space-behind-a-change", (body) => `${body.slice(0, -1)} \n`),
    edited("no-final-line-end", (body) => body.slice(0, -1)),
    edited("empty-line-at-the-end", (body) => `${body}\n`),
    edited("not-ascii", (body) => body.replace("add dora", "add d\xf6ra")),
    edited("comment-line", (body) => `${body}# comment\n`),
    edited("unknown-change", (body) => `${body}delete alice\n`),
    edited("account-line", (body) => body.replace("\nversion", `\naccount ${accountId("alice")}\nversion`)),
    edited("state-version-line", (body) => body.replace("shoal-directory", "shoal-account")),
    edited("version-line-of-another-version", (body) => body.replace("/v1", "/v2")),
    edited("time-line-missing", (body) => body.replace(/time .*\n/, "")),
    edited("operator-line-behind-the-changes", (body) => swapped(body, "operator")),
    edited("duplicate-operator-line", (body) => body.replace(/(operator .*\n)/, "$1$1")),
    edited("duplicate-change", (body) => `${body}${addition("dora")}\n`),
    headed("version-with-leading-zero", { version: "04" }),
    headed("version-zero", { version: "0" }),
    headed("time-with-leading-zero", { time: `0${START}` }),
    headed("time-of-16-digits", { time: "1800000000000000" }),
    headed("domain-in-capitals", { domain: "Example.org" }),
    headed("prev-missing", { prev: "-" }),
    headed("prev-without-padding", { prev: prev.slice(0, -1) }),
    ["first-record-names-a-record-before", "DIRECTORY", new Records().add({ head: { prev } })],
    ["no-operator", "DIRECTORY", new Records().add({ operators: [] })],
    next("6-operators", "DIRECTORY", {
      operators: [1, 2, 3, 4, 5, 6].map((n) => named(`operator ${n}`)),
      by: [OPERATOR],
    }),
    next("operators-not-sorted", "DIRECTORY", {
      operators: [OPERATOR, SECOND],
      by: [OPERATOR, SECOND],
      edit: (body) => swapped(body, "operator"),
    }),
    next("changes-not-sorted", "DIRECTORY", {
      changes: [addition("dora"), addition("erin")],
      edit: (body) => swapped(body, "add"),
    }),
    malformed("two-changes-of-one-name", "set bob 1 1", "resume bob"),
    malformed("added-twice-with-different-accounts", addition("dora"), addition("dora", { account: "erin" })),
    malformed("add-without-fetch", `add dora ${accountId("dora")} 5`),
    malformed("add-with-a-word-more", `${addition("dora")} x`),
    malformed("add-with-two-spaces", addition("dora").replace("add dora", "add dora ")),
    malformed("account-of-21-characters", `add dora ${accountId("dora").slice(1)} 5 1`),
    malformed("account-with-spare-bits", `add dora ${accountId("dora").slice(0, 21)}B 5 1`),
    malformed("quota-negative", addition("dora", { quota: "-1" })),
    malformed("quota-with-leading-zero", addition("dora", { quota: "01" })),
    malformed("quota-with-unit", addition("dora", { quota: "1MB" })),
    malformed("quota-of-16-digits", addition("dora", { quota: "1000000000000000" })),
    malformed("fetch-0", addition("dora", { fetch: "0" })),
    malformed("fetch-10", addition("dora", { fetch: "10" })),
    malformed("set-without-quota", "set alice 1"),
    malformed("remove-with-a-word-more", "remove alice now"),
    malformed("change-in-capitals", "Remove alice"),
    wrongName("name-in-capitals", "Dora"),
    wrongName("name-of-32-characters", "x".repeat(32)),
    wrongName("name-begins-with-hyphen", "-dora"),
    wrongName("name-ends-with-hyphen", "dora-"),
    wrongName("name-begins-with-dot", ".dora"),
    wrongName("name-ends-with-dot", "dora."),
    wrongName("name-with-two-dots", "do..ra"),
    wrongName("name-with-underscore", "do_ra"),
    wrongName("name-with-plus", "do+ra"),
    wrongName("name-with-slash", "../dora"),
    wrongName("name-with-colon", "do:ra"),
    wrongName("name-is-a-number", "20001"),
    wrongName("name-is-empty", ""),
    wrongName("name-is-root", "root"),
    wrongName("name-of-a-system-user", "sshd"),
    wrongName("name-of-a-service-of-ours", "shoal-keys"),
    changed("removed-name-is-reserved", "NAME", "remove root"),
  ];
}

function keysAndSignatures(): Vector[] {
  const asOperator = (name: string, key: Key): Vector =>
    next(name, "KEY", { operators: [OPERATOR, key], by: [OPERATOR, key] });
  const silent = (path: string): Key => ({ line: publicVector(path), sign: STRANGER.sign });
  const sk = typed("sk-ed25519", "operator");
  const untouched = keyOf(token(ed25519("account sk-ed25519 operator"), { flags: 0 }));
  const NAMESPACE = "account-directory.v1@example.org";
  return [
    asOperator("small-order-operator-key", silent("reject/ed25519-small-order-1-torsion")),
    asOperator("mixed-order-operator-key", silent("reject/ed25519-mixed-order-plus-1-torsion")),
    asOperator("rsa-2048-operator-key", keyOf(rsa("account rsa-2048", 2048))),
    asOperator("operator-key-with-comment", { line: `${SECOND.line} operator`, sign: SECOND.sign }),
    next("stranger-signs", "SIGNER", { by: [STRANGER] }),
    next("extra-signature-by-a-stranger", "SIGNER", { by: [OPERATOR, STRANGER] }),
    next("one-signature-twice", "SIGNER-TWICE", { by: [OPERATOR, OPERATOR] }),
    next("no-signature", "UNAUTHORIZED", { by: [] }),
    next("21-signatures", "SIGNED", { by: [OPERATOR, ...Array.from({ length: 20 }, (_, n) => named(`extra ${n}`))] }),
    next("line-behind-the-signatures", "SIGNED", { change: (signed) => `${signed}x\n` }),
    next("namespace-of-states", "NAMESPACE", { namespace: "account-state.v1@example.org" }),
    next("namespace-of-another-domain", "NAMESPACE", { namespace: "account-directory.v1@example.com" }),
    next("signature-of-another-body", "SIGNATURE", {
      signatures: (_, body) => [OPERATOR.sign(NAMESPACE, body, { signed: Buffer.from("x\n") })],
    }),
    next("changed-after-signing", "SIGNATURE", { change: (signed) => signed.replace("add dora", "add nora") }),
    next("signature-is-not-base64", "SSHSIG", { signatures: ([one = ""]) => [one.replace(/\n./, "\n!")] }),
    [
      "sk-signature-without-touch",
      "TOUCH",
      new Records().add({ operators: [sk], by: [sk] }).add({ changes: [addition("alice")], by: [untouched] }),
    ],
    ["first-record-unsigned", "POSSESSION", new Records().add({ by: [] })],
    [
      "first-record-without-one-operators-signature",
      "POSSESSION",
      new Records().add({ operators: [OPERATOR, SECOND], by: [OPERATOR] }),
    ],
    next("new-operator-without-its-own-signature", "POSSESSION", { operators: [OPERATOR, SECOND], by: [OPERATOR] }),
    next("new-operator-without-an-old-signature", "UNAUTHORIZED", { operators: [OPERATOR, SECOND], by: [SECOND] }),
    [
      "removed-operator-signs",
      "SIGNER",
      empty()
        .add({ operators: [SECOND], by: [OPERATOR, SECOND] })
        .add({ changes: [addition("alice")], by: [OPERATOR] }),
    ],
  ];
}

function places(): Vector[] {
  const other = new Records().add({ changes: [addition("mallory")] });
  return [
    next("other-domain", "DOMAIN", { head: { domain: "example.com" } }),
    next("version-skipped", "VERSION", { head: { version: "5" } }),
    next("version-replayed", "VERSION", { head: { version: "3" } }),
    next("first-record-again", "VERSION", { head: { version: "1", prev: "-" } }),
    ["chain-without-its-first-record", "VERSION", new Records().add({ head: { version: "2", prev: three().prev } })],
    ["first-record-of-another-directory", "ACCOUNT", new Records(empty().id).add({ changes: [addition("mallory")] })],
    ["first-record-of-a-thief", "ACCOUNT", new Records(empty().id).add({ operators: [STRANGER], by: [STRANGER] })],
    next("wrong-prev", "PREV", { head: { prev: other.prev } }),
    next("prev-of-the-record-before-the-last", "PREV", { head: { prev: empty().prev } }),
    next("time-backwards", "TIME", { head: { time: String(START + 119) } }),
    next("time-601-seconds-ahead", "TIME", { head: { time: String(START + 781) } }),
    next("acceptance-backwards", "TIME", { at: 119, head: { time: String(START + 120) } }),
  ];
}

function changes(): Vector[] {
  return [
    changed("name-of-an-account-given-again", "NAME-TAKEN", addition("alice", { account: "dora" })),
    changed("name-of-a-suspended-account-given-again", "NAME-TAKEN", addition("bob", { account: "dora" })),
    changed("name-of-a-removed-account-given-again", "NAME-TAKEN", addition("carol", { account: "dora" })),
    changed("removed-account-added-again-as-it-was", "NAME-TAKEN", addition("carol")),
    changed("account-gets-a-second-name", "ACCOUNT-TAKEN", addition("dora", { account: "alice" })),
    changed("removed-account-gets-another-name", "ACCOUNT-TAKEN", addition("dora", { account: "carol" })),
    changed("two-names-for-one-new-account", "ACCOUNT-TAKEN", addition("dora"), addition("erin", { account: "dora" })),
    changed("remove-unknown-name", "NAME-UNKNOWN", "remove dora"),
    changed("set-unknown-name", "NAME-UNKNOWN", "set dora 1 1"),
    changed("suspend-unknown-name", "NAME-UNKNOWN", "suspend dora"),
    changed("remove-removed-account", "NAME-UNKNOWN", "remove carol"),
    changed("resume-removed-account", "NAME-UNKNOWN", "resume carol"),
    changed("set-removed-account", "NAME-UNKNOWN", "set carol 1 1"),
    changed("suspend-suspended-account", "STATUS", "suspend bob"),
    changed("resume-active-account", "STATUS", "resume alice"),
    changed("good-change-beside-a-bad-one", "STATUS", addition("dora"), "remove alice", "suspend bob"),
  ];
}

export function refusedRecords(): Vector[] {
  return [...bodies(), ...keysAndSignatures(), ...places(), ...changes()];
}
