/** Bodies that are not written as they must be. All are signed as they stand. */

import { device, LAPTOP, M, owner, PHONE, R } from "./accepted.ts";
import { named } from "./keys.ts";
import { START, Story, type Version } from "./story.ts";

type Vector = [name: string, code: string, story: Story];

/** The second version, changed before it is signed. */
const edited = (name: string, edit: (body: string) => string): Vector => [
  name,
  "STATE",
  owner().add({ edit, by: [M] }),
];
const headed = (name: string, head: NonNullable<Version["head"]>): Vector => [
  name,
  "STATE",
  owner().add({ head, by: [M] }),
];
const first = (name: string, version: Partial<Version>): Vector => [
  name,
  "STATE",
  new Story().add({ master: [M], recovery: [R], devices: [device(LAPTOP)], by: [M, R], ...version }),
];

const swapped = (body: string, word: string): string => {
  const lines = body.split("\n");
  const at = lines.findIndex((line) => line.startsWith(`${word} `));
  const [one = "", two = ""] = lines.splice(at, 2);
  lines.splice(at, 0, two, one);
  return lines.join("\n");
};

/** The same 32 bytes for a lenient reader: two bits of the last character count for nothing. */
const spareBits = (base64: string): string => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return `${base64.slice(0, 42)}${alphabet[alphabet.indexOf(base64.charAt(42)) + 1]}=`;
};

const many = (count: number, name: string) => Array.from({ length: count }, (_, n) => named(`${name} ${n + 1}`));

export function refusedBodies(): Vector[] {
  const masters = many(6, "master");
  const recoveries = many(6, "recovery");
  const id = owner().id;
  const { prev } = owner();
  return [
    edited("crlf", (body) => body.replaceAll("\n", "\r\n")),
    edited("crlf-in-one-line", (body) => body.replace("\ntime", "\r\ntime")),
    edited("trailing-space", (body) => body.replace("\nprev", " \nprev")),
    edited("no-final-line-end", (body) => body.slice(0, -1)),
    edited("empty-line-at-the-end", (body) => `${body}\n`),
    edited("empty-line-at-the-start", (body) => `\n${body}`),
    edited("empty-body", () => ""),
    edited("byte-order-mark", (body) => `\xef\xbb\xbf${body}`),
    edited("nul-behind-the-domain", (body) => body.replace("\naccount", "\0\naccount")),
    edited("not-ascii", (body) => body.replace("example", "ex\xe4mple")),
    edited("tab-for-space", (body) => body.replace("domain ", "domain\t")),
    edited("two-spaces", (body) => body.replace("domain ", "domain  ")),
    edited("space-in-front", (body) => ` ${body}`),
    edited("comment-line", (body) => body.replace("\nprev", "\n# a comment\nprev")),
    edited("unknown-line", (body) => `${body}note hello\n`),
    edited("unknown-line-between", (body) => body.replace("\nmaster", "\nexpires 1900000000\nmaster")),
    edited("version-line-of-another-version", (body) => body.replace("/v1", "/v2")),
    edited("version-line-in-capitals", (body) => body.replace("shoal", "Shoal")),
    edited("directory-version-line", (body) => body.replace("shoal-account", "shoal-directory")),
    edited("time-line-missing", (body) => body.replace(/time .*\n/, "")),
    edited("time-line-twice", (body) => body.replace(/(time .*\n)/, "$1$1")),
    edited("first-lines-in-another-order", (body) => swapped(body, "version")),
    edited("recovery-lines-before-master-lines", (body) => swapped(body, "master")),
    edited("device-lines-before-recovery-lines", (body) => swapped(body, "recovery")),
    edited("duplicate-device-line", (body) => body.replace(/(device .*\n)/, "$1$1")),
    edited("duplicate-master-line", (body) => body.replace(/(master .*\n)/, "$1$1")),
    edited("word-in-capitals", (body) => body.replace("master ", "Master ")),
    edited("uses-in-another-order", (body) => body.replace("auth,seal", "seal,auth")),
    edited("use-named-twice", (body) => body.replace("auth,seal", "auth,auth")),
    edited("use-unknown", (body) => body.replace("auth,seal", "auth,seal,sign")),
    edited("uses-empty", (body) => body.replace("auth,seal", "")),
    edited("uses-missing", (body) => body.replace("auth,seal ", "")),
    edited("device-with-comment", (body) => body.replace(/(device .*)\n/, "$1 alice@laptop\n")),
    edited("master-line-empty", (body) => body.replace(/\nmaster .*\n/, "\nmaster \n")),
    headed("version-with-leading-zero", { version: "02" }),
    headed("version-with-plus", { version: "+2" }),
    headed("version-hexadecimal", { version: "0x2" }),
    headed("version-with-fraction", { version: "2.0" }),
    headed("version-of-16-digits", { version: "1000000000000000" }),
    headed("version-zero", { version: "0" }),
    headed("version-empty", { version: "" }),
    headed("time-with-leading-zero", { time: `0${START}` }),
    headed("time-negative", { time: "-1" }),
    headed("time-of-16-digits", { time: "1800000000000000" }),
    headed("time-in-words", { time: "2027-01-15T08:00:00Z" }),
    headed("domain-in-capitals", { domain: "Example.org" }),
    headed("domain-with-final-dot", { domain: "example.org." }),
    headed("domain-with-empty-label", { domain: "example..org" }),
    headed("domain-empty", { domain: "" }),
    headed("account-missing-in-version-2", { account: "-" }),
    headed("account-of-21-characters", { account: id.slice(1) }),
    headed("account-with-spare-bits", { account: `${id.slice(0, -1)}B` }),
    headed("account-in-plain-base64-alphabet", { account: `+/${id.slice(2)}` }),
    headed("prev-missing-in-version-2", { prev: "-" }),
    headed("prev-without-padding", { prev: prev.slice(0, -1) }),
    headed("prev-with-spare-bits", { prev: spareBits(prev) }),
    headed("prev-in-base64url", { prev: `-_${prev.slice(2)}` }),
    headed("prev-in-hexadecimal", { prev: Buffer.from(prev, "base64").toString("hex") }),
    first("genesis-names-an-account", { head: { account: id } }),
    first("genesis-names-a-version-before", { head: { prev } }),
    first("genesis-without-master", { master: [], by: [R] }),
    first("6-masters", { master: masters, recovery: [], by: masters }),
    first("6-recovery-keys", { recovery: recoveries, by: [M, ...recoveries] }),
    first("11-devices-with-auth", {
      devices: many(11, "device")
        .map((key) => device(key, "auth"))
        .concat(device(LAPTOP, "seal")),
    }),
    first("11-devices-with-seal", {
      devices: many(11, "device")
        .map((key) => device(key, "seal"))
        .concat(device(LAPTOP, "auth")),
    }),
    first("devices-not-sorted", { devices: [device(LAPTOP), device(PHONE)], edit: (body) => swapped(body, "device") }),
    first("masters-not-sorted", { master: [M, PHONE], by: [M, PHONE, R], edit: (body) => swapped(body, "master") }),
    first("recovery-keys-not-sorted", {
      recovery: [R, PHONE],
      by: [M, R, PHONE],
      edit: (body) => swapped(body, "recovery"),
    }),
    [
      "trailing-space-behind-a-key",
      "KEY",
      owner().add({ edit: (body) => body.replace("\nrecovery", " \nrecovery"), by: [M] }),
    ],
    [
      "body-of-65537-bytes",
      "TOO-LARGE",
      owner().add({ edit: (body) => `${body}${"x".repeat(65_536 - body.length)}\n`, by: [M] }),
    ],
  ];
}
