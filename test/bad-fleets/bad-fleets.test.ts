/** Every wrong definition here is refused with exactly the messages beside it. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DefinitionError, parseFleet } from "#fleet/definition/definition.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const files = readdirSync(folder);
const names = files.filter((file) => file.endsWith(".yaml")).map((file) => file.slice(0, -".yaml".length));

test("every definition has its messages and the other way round", () => {
  const expected = files.filter((file) => file.endsWith(".expected")).map((file) => file.slice(0, -".expected".length));
  assert.deepEqual(names, expected);
  assert.ok(names.length > 25);
});

for (const name of names) {
  test(name, () => {
    const text = readFileSync(`${folder}${name}.yaml`, "utf8");
    assert.throws(
      () => parseFleet(text, `${name}.yaml`),
      (error) => {
        assert.ok(error instanceof DefinitionError, String(error));
        assert.equal(error.code, "CONFIG");
        assert.equal(`${error.message}\n`, readFileSync(`${folder}${name}.expected`, "utf8"));
        const lines = text.split("\n");
        for (const { line, column } of error.mistakes) {
          assert.ok(line >= 1 && line <= lines.length && column >= 1, `${line}:${column} is not in the file`);
        }
        return true;
      },
    );
  });
}
