import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "#core/errors.ts";
import { lineOf, makeKey } from "#test/owner.ts";
import { devicesOfKeys } from "./devices.ts";
import { type Pairing, pairingCode, parsePairing, printPairing } from "./pairing.ts";
import { printQrCode } from "./qr-code.ts";

const AGE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

function pairing(...keys: string[]): Pairing {
  return { name: "alice", domain: "example.org", devices: devicesOfKeys(keys) };
}

function refuses(text: string): void {
  assert.throws(
    () => parsePairing(text),
    (error) => error instanceof FormatError && error.code === "KEY",
    text,
  );
}

test("what is printed is read again, also when it was broken into lines", () => {
  for (const one of [
    pairing(lineOf(makeKey())),
    pairing(lineOf(makeKey()), AGE),
    pairing(lineOf(makeKey()), lineOf(makeKey())),
  ]) {
    const text = printPairing(one);
    assert.match(text, /^\S+$/, "one word, to be selected with a double click");
    assert.deepEqual(parsePairing(text), one);
    assert.deepEqual(parsePairing(`  ${text.replaceAll(/.{60}/g, "$&\r\n")}\n`), one);
    assert.equal(pairingCode(parsePairing(text)), pairingCode(one));
    assert.match(pairingCode(one), /^([A-HJ-NP-Z2-9]{4}-){3}[A-HJ-NP-Z2-9]{4}$/);
  }
});

test("one wrong character is found", () => {
  const text = printPairing(pairing(lineOf(makeKey())));
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom("A", "a", "0", ":", "", "/", "é"), (at, character) => {
      const changed = text.slice(0, at) + character + text.slice(at + 1);
      if (changed !== text) refuses(changed);
    }),
  );
});

test("cut off, another word, another form, no key, a key that may not be used", () => {
  const one = pairing(lineOf(makeKey()));
  const text = printPairing(one);
  for (const wrong of ["", "shoal-device:", text.slice(0, -1), text.slice(1), text.replace("auth,seal", "seal,auth")])
    refuses(wrong);
  refuses(printPairing({ ...one, devices: [] }));
  refuses(printPairing({ ...one, name: "root" }));
  refuses(printPairing({ ...one, domain: "Example.org" }));
  refuses(printPairing({ ...one, devices: [{ auth: true, seal: true, key: "ssh-ed25519 AAAA" }] }));
  refuses("x".repeat(100_000));
});

test("the code is another one for another key, use, name or order of keys", () => {
  const [a, b] = [lineOf(makeKey()), lineOf(makeKey())];
  const one = pairing(a, b);
  const [first, second] = one.devices;
  assert.ok(first !== undefined && second !== undefined);
  const codes = [
    one,
    pairing(a),
    pairing(b),
    { ...one, name: "bob" },
    { ...one, domain: "example.net" },
    { ...one, devices: [second, first] },
    { ...one, devices: [{ ...first, seal: false }, second] },
  ].map(pairingCode);
  assert.equal(new Set(codes).size, codes.length);
});

test("a QR code is a square with its three corners", () => {
  const lines = printQrCode(printPairing(pairing(lineOf(makeKey()))));
  const width = lines[0]?.length ?? 0;
  assert.ok(width <= 60 && lines.every((line) => line.length === width && /^[█▀▄ ]+$/.test(line)));
  assert.ok(Math.abs(lines.length * 2 - width) <= 1);
  for (const at of [2, width - 9]) assert.equal(lines[1]?.slice(at, at + 7), " ▄▄▄▄▄ ");
  const longest = printQrCode("x".repeat(2900));
  assert.ok((longest[0]?.length ?? 0) > 100);
});
