/** Laws of the text of account states. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError, PolicyError } from "#core/errors.ts";
import { ageKey, named, typed } from "#test/vectors/account-state/keys.ts";
import { type AccountState, MAX_STATE_BYTES, parseState, printState } from "./state.ts";

const KEYS = Array.from({ length: 24 }, (_, n) => named(`state ${n}`).line);
const LOGIN_KEYS = [typed("sk-ed25519", "state").line, typed("nistp256", "state").line];
const SEAL_KEYS = [ageKey("state 1"), ageKey("state 2")];

const base64Of = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(base64Of);
const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString("base64url"));
const number = fc.oneof(fc.nat(), fc.constantFrom(0, 1, 999_999_999_999_999));

/** States that may exist, lists sorted as the text has them. */
const state: fc.Arbitrary<AccountState> = fc
  .record({
    domain: fc.constantFrom("example.org", "a", "xn--bcher-kva.example", "0-0.1"),
    place: fc.option(fc.record({ account: id, prev: hash, version: fc.integer({ min: 2, max: 999_999_999_999_999 }) })),
    time: number,
    keys: fc.shuffledSubarray(KEYS, { minLength: 12, maxLength: 24 }),
    masters: fc.integer({ min: 1, max: 5 }),
    recoveries: fc.integer({ min: 0, max: 5 }),
    extra: fc.subarray([...LOGIN_KEYS, ...SEAL_KEYS]),
    uses: fc.array(fc.constantFrom("auth", "seal", "auth,seal"), { minLength: 24, maxLength: 24 }),
  })
  .map(({ domain, place, time, keys, masters, recoveries, extra, uses }) => {
    const both = { auth: true, seal: true, key: keys[masters + recoveries] ?? "" };
    const others = keys.slice(masters + recoveries + 1, masters + recoveries + 7);
    const devices = [
      both,
      ...others.map((key, n) => ({ auth: uses[n] !== "seal", seal: uses[n] !== "auth", key })),
      ...extra.map((key) => ({ auth: LOGIN_KEYS.includes(key), seal: SEAL_KEYS.includes(key), key })),
    ];
    const textOf = ({ auth, seal, key }: (typeof devices)[number]): string =>
      `${auth && seal ? "auth,seal" : auth ? "auth" : "seal"} ${key}`;
    return {
      ...{ domain, time, account: place?.account ?? null, version: place?.version ?? 1, prev: place?.prev ?? null },
      master: keys.slice(0, masters).toSorted(),
      recovery: keys.slice(masters, masters + recoveries).toSorted(),
      devices: devices.toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : 1)),
    };
  });

/** null if the bytes are refused; any other error than the parser's own is a fault. */
function parsed(bytes: Uint8Array): AccountState | null {
  try {
    return parseState(bytes);
  } catch (error) {
    if (error instanceof FormatError || error instanceof PolicyError) return null;
    throw error;
  }
}

test("print, then parse: the same state", () => {
  fc.assert(fc.property(state, (value) => assert.deepEqual(parseState(printState(value)), value)));
});

test("a list in any order is printed the same", () => {
  fc.assert(
    fc.property(state, ({ ...value }) => {
      const turned = {
        ...value,
        master: value.master.toReversed(),
        recovery: value.recovery.toReversed(),
        devices: value.devices.toReversed(),
      };
      assert.ok(printState(turned).equals(printState(value)));
    }),
  );
});

/** Changes that text tools, careless writers and attackers make. */
const change: fc.Arbitrary<(bytes: Buffer) => Buffer> = fc.oneof(
  fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }).map(({ at, byte }) => (bytes: Buffer) => {
    const copy = Buffer.from(bytes);
    copy[at % copy.length] = byte;
    return copy;
  }),
  fc
    .record({ at: fc.nat(), text: fc.constantFrom(" ", "\n", "\r", "\t", "0", "=", "\0", "A", "-") })
    .map(({ at, text }) => (bytes: Buffer) => {
      const place = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, place), Buffer.from(text), bytes.subarray(place)]);
    }),
  fc.nat().map((at) => (bytes: Buffer) => {
    const place = at % bytes.length;
    return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)]);
  }),
  fc.record({ from: fc.nat(), to: fc.nat() }).map(({ from, to }) => (bytes: Buffer) => {
    const lines = bytes.toString("latin1").split("\n");
    const [line = ""] = lines.splice(from % lines.length, 1);
    lines.splice(to % (lines.length + 1), 0, line);
    return Buffer.from(lines.join("\n"), "latin1");
  }),
  fc.record({ line: fc.nat(), upper: fc.boolean() }).map(({ line, upper }) => (bytes: Buffer) => {
    const lines = bytes.toString("latin1").split("\n");
    const at = line % lines.length;
    const text = lines[at] ?? "";
    lines.splice(at, 1, ...(upper ? [text.toUpperCase()] : [text, text]));
    return Buffer.from(lines.join("\n"), "latin1");
  }),
  // What is often a state again.
  fc.nat().map((time) => (bytes: Buffer) => {
    return Buffer.from(bytes.toString("latin1").replace(/^time .*$/m, `time ${time}`), "latin1");
  }),
);

test("no two byte strings are the same state: what is changed is refused, or another state that prints as these bytes", () => {
  let accepted = 0;
  fc.assert(
    fc.property(state, fc.array(change, { minLength: 1, maxLength: 2 }), (value, changes) => {
      const bytes = printState(value);
      const changed = changes.reduce((before, apply) => apply(before), bytes);
      const again = parsed(changed);
      if (again === null || changed.equals(bytes)) return;
      accepted++;
      assert.ok(printState(again).equals(changed));
      assert.notDeepEqual(again, value);
    }),
    { numRuns: 2000 },
  );
  assert.ok(accepted > 50, "some changed bytes must be states, or the law says nothing");
});

test("refuses any bytes without another error than its own", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.equal(parsed(bytes), null)));
  assert.throws(() => parseState(Buffer.alloc(MAX_STATE_BYTES + 1, 10)), { name: "FormatError", code: "TOO-LARGE" });
});

test("can't print what it would not parse", () => {
  const value = {
    ...{ domain: "example.org", account: null, version: 1, prev: null, time: 1 },
    master: KEYS.slice(0, 1),
    recovery: [],
    devices: [{ auth: true, seal: true, key: KEYS[1] ?? "" }],
  };
  assert.equal(parseState(printState(value)).version, 1);
  const codes = (wrong: Partial<AccountState>, code: string): void => {
    assert.throws(() => printState({ ...value, ...wrong }), { code });
  };
  codes({ domain: "Example.org" }, "STATE");
  codes({ domain: "a\nb" }, "STATE");
  codes({ version: 1.5 }, "STATE");
  codes({ version: 2 }, "STATE");
  codes({ time: -1 }, "STATE");
  codes({ time: 1e21 }, "STATE");
  codes({ master: [] }, "STATE");
  codes({ master: [`${KEYS[0]} comment`] }, "KEY");
  codes({ master: [`${KEYS[0]}\nrecovery ${KEYS[2]}`] }, "STATE");
  codes({ master: [(KEYS[0] ?? "").replace("A", "\u0141")] }, "STATE");
  codes({ recovery: [KEYS[0] ?? ""] }, "KEY-TWICE");
  codes({ devices: [{ auth: false, seal: false, key: KEYS[1] ?? "" }] }, "STATE");
});
