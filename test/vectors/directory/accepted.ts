/** Vectors that are accepted. */

import { KEY_TYPES, named, typed } from "../account-state/keys.ts";
import { addition, empty, OPERATOR, Records, SECOND, START, three } from "./records.ts";

export function acceptedRecords(): Map<string, Records> {
  const all = new Map<string, Records>();
  for (const type of KEY_TYPES) {
    const operator = typed(type, "operator");
    all.set(
      `operator-${type}`,
      new Records()
        .add({ operators: [operator], by: [operator] })
        .add({ at: 60, changes: [addition("alice")], by: [operator] }),
    );
  }
  const five = [1, 2, 3, 4, 5].map((n) => named(`operator ${n}`));
  all.set("first-record-empty", empty());
  all.set(
    "three-accounts-added",
    empty().add({ at: 60, changes: ["alice", "bob", "carol"].map((name) => addition(name)) }),
  );
  all.set("first-record-with-accounts", new Records().add({ changes: [addition("alice"), addition("bob")] }));
  all.set("five-operators", new Records().add({ operators: five, by: five }));
  all.set(
    "one-of-two-operators-signs",
    new Records()
      .add({ operators: [OPERATOR, SECOND], by: [OPERATOR, SECOND] })
      .add({ changes: [addition("alice")], by: [SECOND] }),
  );
  all.set(
    "both-operators-sign",
    new Records().add({ operators: [OPERATOR, SECOND], by: [OPERATOR, SECOND] }).add({ by: [SECOND, OPERATOR] }),
  );
  all.set("operator-replaced", empty().add({ at: 60, operators: [SECOND], by: [OPERATOR, SECOND] }));
  all.set(
    "operator-removes-the-other",
    new Records()
      .add({ operators: [OPERATOR, SECOND], by: [OPERATOR, SECOND] })
      .add({ operators: [SECOND], by: [SECOND] }),
  );
  all.set("record-that-changes-nothing", three().add({}));
  all.set("every-kind-of-change", three().add({ at: 180, changes: [addition("dora"), "remove alice", "resume bob"] }));
  all.set("set-quota-and-fetch", three().add({ changes: ["set alice 0 9"] }));
  all.set("set-suspended-account", three().add({ changes: ["set bob 5 2"] }));
  all.set("remove-suspended-account", three().add({ changes: ["remove bob"] }));
  all.set(
    "suspend-again-after-resume",
    three()
      .add({ changes: ["resume bob"] })
      .add({ changes: ["suspend bob"] }),
  );
  const odd = [
    "0a",
    "1-2",
    "a",
    "a--b",
    "a-b.c",
    "a.b",
    "a0",
    `${"a".repeat(15)}.${"b".repeat(15)}`,
    "postmaster",
    "shoal",
    "x".repeat(31),
  ];
  all.set("names-of-every-form", empty().add({ changes: odd.map((name) => addition(name)) }));
  all.set("largest-numbers", empty().add({ changes: [addition("alice", { quota: "999999999999999", fetch: "9" })] }));
  all.set("quota-0", empty().add({ changes: [addition("alice", { quota: "0" })] }));
  all.set("time-as-before", three().add({ at: 3600, head: { time: String(START + 120) } }));
  all.set("time-600-seconds-ahead", three().add({ at: 3600, head: { time: String(START + 4200) } }));
  return all;
}
