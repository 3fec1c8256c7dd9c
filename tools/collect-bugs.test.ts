import assert from "node:assert/strict";
import { test } from "node:test";
import { bugsIn, printBugs } from "./collect-bugs.ts";

// Not written out, so that this file has no bug of its own.
const mark = ["BU", "G"].join("");

test("a bug is a comment from its mark to its end", () => {
  const source = [
    "const a = 1;",
    `// ${mark}: the first line`,
    "// and the second",
    "const b = 2; // not this",
    `  /** ${mark}: in one line */`,
    "/**",
    ` * ${mark}: one`,
    ` * ${mark}: two`,
    " * goes on",
    " */",
    `# ${mark}: in a script`,
    "",
    "# not this",
  ].join("\n");
  assert.deepEqual(
    bugsIn("f.ts", source).map(({ text }) => text),
    ["the first line and the second", "in one line", "one", "two goes on", "in a script"],
  );
});

test("text that only mentions the mark is no bug", () => {
  assert.deepEqual(bugsIn("f.ts", `const a = "${mark}: x"; // see ${mark}: y\n`), []);
});

test("the page links each file", () => {
  assert.match(printBugs([{ file: "src/a.ts", text: "leaks" }]), /^- \[`src\/a\.ts`\]\(\.\.\/src\/a\.ts\): leaks$/m);
  assert.match(printBugs([]), /None is known\./);
});
