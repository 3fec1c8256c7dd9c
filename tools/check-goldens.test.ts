import assert from "node:assert/strict";
import { test } from "node:test";
import { differences } from "./check-goldens.ts";

test("a module that came in and one that went are both named", () => {
  assert.deepEqual(differences(["a.ts", "b.ts"], ["b.ts", "package left-pad"]), ["+ package left-pad", "- a.ts"]);
  assert.deepEqual(differences(["a.ts"], ["a.ts"]), []);
});
