import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { DefinitionError, parseFleet, parseFleetToBe } from "./definition.ts";

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
  assert.deepEqual(fleet, {
    name: "demo",
    domain: "shoal.example",
    network: { base: "10.83.0.0", prefixLength: 16 },
    resolver: "10.84.0.53",
    uplink: { kind: "netns", name: "world" },
    sites: ["alpha", "omega"],
    publicAddresses: { alpha: {}, omega: {} },
    live: "alpha",
    directory: "DNn7NbmdJHR0fNQCpdtcYw",
    roles: { in: 1, "spam-in": 1, fetch: 2, keys: 1, ledger: 1, out: 0, "spam-out": 0 },
    retentionDays: 14,
    limits: {
      messageBytes: 35_000_000,
      quotaBytes: 100_000_000,
      recipients: 100,
      connections: 500,
      connectionsPerAddress: 50,
      messagesPerDay: 500,
      newRecipientsPerDay: 100,
      queueHours: 24,
      warnHours: 4,
    },
  });
});

test("only before a fleet has its directory may the key be absent", () => {
  const without = example.replace(/^directory: .*\n/m, "");
  assert.deepEqual(
    mistakesOf(without).map(({ path, found }) => [path, found]),
    [["directory", "nothing"]],
  );
  const fleet = parseFleet(example, "a");
  assert.deepEqual(parseFleetToBe(without, "a"), { ...fleet, directory: "" });
  assert.deepEqual(parseFleetToBe(example, "a"), fleet);
  const empty = example.replace(/^directory: .*$/m, "directory: # comes later");
  assert.deepEqual(parseFleetToBe(empty, "a"), { ...fleet, directory: "" });
  assert.deepEqual(
    mistakesOf(empty).map(({ path, found }) => [path, found]),
    [["directory", "nothing"]],
  );
  assert.throws(() => parseFleetToBe(without.replace("live: alpha\n", ""), "a"), DefinitionError);
});

test("the example of a definition needs its directory alone, which it is enough to make", () => {
  const text = readFileSync(new URL("../../../docs/fleet.example.yaml", import.meta.url), "utf8");
  assert.equal(parseFleetToBe(text, "a").directory, "");
  assert.deepEqual(
    mistakesOf(text).map(({ path }) => path),
    ["directory"],
  );
});

test("the messages on the format page are those that are given", () => {
  const wrong = example
    .replace("10.84.0.53", "10.83.0.53")
    .replace("fetch: 2", "fetch: 12")
    .replace("ledger: 1", "ledger: 2");
  const shown = [...page.matchAll(/^fleet\.yaml:.*$/gm)].map(([line]) => line);
  assert.equal(shown.length, 3);
  assert.throws(() => parseFleet(wrong, "fleet.yaml"), { name: "DefinitionError", message: shown.join("\n") });
});

test("the same content in flow style, quotes and comments is the same fleet", () => {
  const other = example
    .replace("fleet: demo", "# ours\n'fleet': \"demo\" # the name")
    .replace(
      "roles:\n  in: 1\n  spam-in: 1\n  fetch: 2\n  keys: 1\n  ledger: 1\n",
      "roles: { in: 1, spam-in: 1, fetch: 2, keys: 1, ledger: 1 }\n",
    )
    .replaceAll("\n", "\r\n");
  assert.deepEqual(parseFleet(other, "a"), parseFleet(example, "b"));
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
    [/^directory: .*$/m, "directory: DNn7NbmdJHR0fNQCpdtcYx"],
    [/^ {2}in: .*$/m, "  in: many"],
    [/^ {2}spam-in: .*$/m, "  spam-in: [1]"],
    [/^ {2}keys: .*$/m, "  keys: 10"],
    [/^ {2}ledger: .*$/m, "  ledger: 0"],
    [/^retention-days: .*$/m, "retention-days: 0"],
    [/^ {2}message: .*$/m, "  message: 35 mb"],
    [/^ {2}recipients: .*$/m, "  recipients: 1"],
    [/^ {2}connections: .*$/m, "  connections: ~"],
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
  for (const [i, line] of lines.entries()) {
    if (line === "") continue;
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
  const wrong = mistakesOf(`${example.split("limits:")[0]}limits: ${"[".repeat(50_000)}`);
  assert.notEqual(wrong.length, 0);
});

test("messages never carry what a terminal would act on", () => {
  const shown = mistakesOf(example.replace("live: alpha", 'live: "\\e[31m\\u202e\\u0085\\u200b"'));
  assert.deepEqual(
    shown.map(({ found }) => found),
    ['"\\u001b[31m\\u202e\\u0085\\u200b"'],
  );
});
