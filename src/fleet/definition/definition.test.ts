import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { DefinitionError, parseFleet } from "./definition.ts";

const page = readFileSync(new URL("../../../docs/formats/fleet.md", import.meta.url), "utf8");
const example = /^```yaml\n(.*?)^```$/ms.exec(page)?.[1] ?? "";

function mistakesOf(text: string): DefinitionError["mistakes"] {
  try {
    parseFleet(text, "fleet.yaml");
  } catch (error) {
    if (error instanceof DefinitionError) return error.mistakes;
    throw error;
  }
  return [];
}

test("the example of the format page is read as it says", () => {
  const fleet = parseFleet(example, "fleet.yaml");
  const [alice, bob] = fleet.accounts;
  assert.deepEqual(
    { ...fleet, accounts: [] },
    {
      name: "demo",
      domain: "shoal.example",
      network: { base: "10.83.0.0", prefixLength: 16 },
      resolver: "10.84.0.53",
      uplink: { kind: "netns", name: "world" },
      sites: ["alpha", "omega"],
      live: "alpha",
      roles: { in: 1, "spam-in": 1, fetch: 2 },
      retentionDays: 14,
      limits: {
        messageBytes: 35_000_000,
        quotaBytes: 100_000_000,
        recipients: 100,
        connections: 500,
        connectionsPerAddress: 50,
      },
      accounts: [],
    },
  );
  assert.equal(fleet.accounts.length, 2);
  assert.deepEqual([alice?.name, alice?.quotaBytes, alice?.fetch], ["alice", 2_000_000_000, 1]);
  assert.deepEqual([bob?.name, bob?.quotaBytes, bob?.fetch], ["bob", 100_000_000, 2]);
  assert.deepEqual(
    alice?.auth.map((line) => line.split(" ").length),
    [2, 2],
    "comments are dropped",
  );
  assert.deepEqual(alice?.seal, alice?.auth.slice(0, 1));
  assert.deepEqual(bob?.seal, ["age1jekg5es5gvgsmfkvldvwp777d55efz8mlv3nk3akrwzvmccu3c7qu2z3xp"]);
});

test("the messages on the format page are those that are given", () => {
  const wrong = example
    .replace("10.84.0.53", "10.83.0.53")
    .replace("fetch: 2", "fetch: 12")
    .replace("- auth,seal ssh-ed25519", "- auth ssh-ed25519");
  const shown = [...page.matchAll(/^fleet\.yaml:.*$/gm)].map(([line]) => line);
  assert.equal(shown.length, 3);
  assert.throws(() => parseFleet(wrong, "fleet.yaml"), { name: "DefinitionError", message: shown.join("\n") });
});

test("accounts are sorted by name, whatever the order of the file", () => {
  const [head = "", accounts = ""] = example.split("accounts:\n");
  const [alice = "", bob = ""] = accounts.split("  bob:\n");
  const swapped = `${head}accounts:\n  bob:\n${bob}${alice}`;
  assert.deepEqual(parseFleet(swapped, "a"), parseFleet(example, "b"));
});

test("the same content in flow style, quotes and comments is the same fleet", () => {
  const other = example
    .replace("fleet: demo", "# ours\n'fleet': \"demo\" # the name")
    .replace("roles:\n  in: 1\n  spam-in: 1\n  fetch: 2\n", "roles: { in: 1, spam-in: 1, fetch: 2 }\n")
    .replaceAll("\n", "\r\n");
  assert.deepEqual(parseFleet(other, "a"), parseFleet(example, "b"));
});

test("a fleet without accounts is fine", () => {
  const [head = ""] = example.split("accounts:\n");
  assert.deepEqual(parseFleet(`${head}accounts: {}\n`, "a").accounts, []);
});

test("each mistake is reported, however many there are", () => {
  // One wrong value for each line; which of them are wrong together must not matter.
  const spoils: [RegExp, string][] = [
    [/^fleet: .*$/m, "fleet: 9lives"],
    [/^domain: .*$/m, "domain: -shoal.example"],
    [/^network: .*$/m, "network: 10.83.0.0/33"],
    [/^resolver: .*$/m, "resolver: ns.example"],
    [/^uplink: .*$/m, "uplink: eth0"],
    [/^live: .*$/m, "live: beta"],
    [/^ {2}in: .*$/m, "  in: many"],
    [/^ {2}spam-in: .*$/m, "  spam-in: [1]"],
    [/^retention-days: .*$/m, "retention-days: 0"],
    [/^ {2}message: .*$/m, "  message: 35 mb"],
    [/^ {2}recipients: .*$/m, "  recipients: 1"],
    [/^ {2}connections: .*$/m, "  connections: ~"],
    [/^ {4}quota: .*$/m, "    quota: 0 MB"],
    [/^ {4}fetch: 2$/m, "    fetch: 3"],
    [/^ {6}- auth ecdsa.*$/m, "      - auth ecdsa-sha2-nistp256 AAAA"],
    [/^ {6}- seal age1.*$/m, "      - seal age1jekg5"],
  ];
  const all = example.split("\n");
  fc.assert(
    fc.property(fc.subarray(spoils, { minLength: 1 }), (chosen) => {
      const text = chosen.reduce((wrong, [line, spoiled]) => wrong.replace(line, spoiled), example);
      const spoiledLines = text.split("\n").flatMap((line, i) => (line === all[i] ? [] : [i + 1]));
      assert.equal(spoiledLines.length, chosen.length);
      assert.deepEqual(
        mistakesOf(text).map(({ line }) => line),
        spoiledLines,
      );
    }),
  );
});

test("each line that is missing is missed", () => {
  const lines = example.split("\n");
  const optional = /^ {4}quota: |^ {6}- auth ecdsa/;
  for (const [i, line] of lines.entries()) {
    if (line === "" || optional.test(line)) continue;
    const without = lines.filter((_, other) => other !== i).join("\n");
    assert.notEqual(mistakesOf(without).length, 0, `accepted without "${line}"`);
  }
});

test("whatever is done to the text, it is read or refused with mistakes that lie inside it", () => {
  const noise = fc.oneof(
    fc.string({ maxLength: 6, unit: "binary" }),
    fc.constantFrom(":", "[", "{", "&a", "*a", "!x", "\t"),
  );
  const at = fc.nat(example.length);
  fc.assert(
    fc.property(at, fc.nat(20), noise, (start, length, inserted) => {
      const text = example.slice(0, start) + inserted + example.slice(start + length);
      const lines = text.split("\n");
      for (const { line, column } of mistakesOf(text)) {
        const width = lines[line - 1]?.length ?? -1;
        assert.ok(column >= 1 && column <= width + 1, `${line}:${column} is outside the text`);
      }
    }),
    { numRuns: 150 },
  );
});

test("endless nesting is refused", () => {
  const wrong = mistakesOf(`${example.split("accounts:")[0]}accounts: ${"[".repeat(50_000)}`);
  assert.notEqual(wrong.length, 0);
});

test("messages never carry what a terminal would act on", () => {
  const shown = mistakesOf(example.replace("live: alpha", 'live: "\\e[31m\\u202e\\u0085\\u200b"'));
  assert.deepEqual(
    shown.map(({ found }) => found),
    ['"\\u001b[31m\\u202e\\u0085\\u200b"'],
  );
});
