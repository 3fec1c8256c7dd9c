import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "#core/errors.ts";
import { allowsMx, announcedId, parseStsPolicy } from "./sts-policy.ts";

test("the example of RFC 8461", () => {
  const text =
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n";
  const policy = parseStsPolicy(text);
  assert.deepEqual(policy, {
    mode: "enforce",
    maxAgeSeconds: 604_800,
    mx: ["mail.example.com", "*.example.net", "backupmx.example.com"],
  });
  assert.deepEqual(parseStsPolicy(text.replaceAll("\r\n", "\n")), policy);
  assert.equal(announcedId(["v=STSv1; id=20160831085700Z;"]), "20160831085700Z");
});

test("which announcements count", () => {
  const counted: [string[], string | null][] = [
    [["v=STSv1;id=a"], "a"],
    [["v=spf1 -all", "v=STSv1 ; id=a ; x=y"], "a"],
    [[], null],
    [["v=STSv1; id=a", "v=STSv1; id=b"], null],
    [["v=STSv1; id=a", "v=STSv1;"], null],
    [["v=STSv10; id=a"], null],
    [["v=stsv1; id=a"], null],
    [[" v=STSv1; id=a"], null],
    [["id=a; v=STSv1"], null],
    [["v=STSv1; id=a; id=b"], null],
    [["v=STSv1; id=a b"], null],
    [["v=STSv1; id=a-b"], null],
    [[`v=STSv1; id=${"a".repeat(33)}`], null],
    [["v=STSv1; id="], null],
    [["v=STSv1;; id=a"], null],
    [["v=STSv1"], null],
  ];
  for (const [records, id] of counted) assert.equal(announcedId(records), id, JSON.stringify(records));
});

test("what is no policy", () => {
  const good = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 100\n";
  assert.equal(parseStsPolicy(good).maxAgeSeconds, 100);
  const refused = [
    "",
    "<html></html>",
    good.replace("STSv1", "STSv2"),
    good.replace("version: STSv1\n", ""),
    good.replace("enforce", "Enforce"),
    good.replace("mode: enforce\n", ""),
    good.replace("mx: a.example\n", ""),
    good.replace("max_age: 100\n", ""),
    good.replace("100", "-1"),
    good.replace("100", "1e3"),
    good.replace("100", "99999999999"),
    good.replace("a.example", "*"),
    good.replace("a.example", "*.*.example"),
    good.replace("a.example", "a.*.example"),
    good.replace("a.example", "a.example."),
    good.replace("a.example", "a_b.example"),
    good.replace("a.example", "a.example, b.example"),
    good.replace("\n", "\n\n"),
    good.replace("\n", "\r"),
    good + "mx: a.example\n".repeat(100),
    good + "x: y\n".repeat(600),
  ];
  for (const text of refused) assert.throws(() => parseStsPolicy(text), { code: "STS-POLICY" }, text.slice(0, 200));
});

test("the first of two fields counts, unknown ones do not, and a year is the longest", () => {
  const text = "max_age: 9999999999\nversion: STSv1\nmode: testing\nmode: enforce\nfuture: x y\nmx: A.Example\n";
  assert.deepEqual(parseStsPolicy(text), { mode: "testing", maxAgeSeconds: 31_557_600, mx: ["a.example"] });
});

test("a star is one label, and the first", () => {
  const policy = { mode: "enforce", maxAgeSeconds: 1, mx: ["mx.example", "*.b.example"] } as const;
  for (const host of ["mx.example", "x.b.example", "*.b.example"]) assert(allowsMx(policy, host), host);
  for (const host of [
    "a.mx.example",
    "b.example",
    ".b.example.evil",
    "x.y.b.example",
    "xb.example",
    "mx.example.evil",
    "example",
  ]) {
    assert(!allowsMx(policy, host), host);
  }
});

test("no text makes the parser fail in another way than it says", () => {
  const words = fc.constantFrom(
    "version:",
    "mode:",
    "mx:",
    "max_age:",
    " ",
    "STSv1",
    "enforce",
    "*.",
    "a.example",
    "1",
    "\n",
    "\r\n",
    "\0",
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
      try {
        const { mode, mx } = parseStsPolicy(parts.join(""));
        assert(mode === "none" || mx.length > 0);
      } catch (error) {
        assert(error instanceof FormatError && error.code === "STS-POLICY");
      }
    }),
  );
});
