import assert from "node:assert/strict";
import { test } from "node:test";
import { brokenLinks, headingsOf, missingPaths, missingScripts, type Project } from "./check-docs.ts";

function project(page: string): Project {
  return {
    files: ["README.md", "docs/page.md", "docs/formats/fleet.md", "src/core/age/seal.ts", "package.json"],
    texts: new Map([
      ["docs/page.md", page],
      ["docs/formats/fleet.md", "# The fleet definition\n\n## What it's for, `in` short\n"],
      ["package.json", '{ "scripts": { "demo": "" } }'],
    ]),
  };
}

function problems(check: (project: Project, page: string) => string[], page: string): number {
  return check(project(page), "docs/page.md").length;
}

test("links must lead to files and headings that exist", () => {
  const fine = [
    "[a](formats/fleet.md) [b](../README.md) [c](formats/) [d](../src/core)",
    "[a](formats/fleet.md#the-fleet-definition) [b](formats/fleet.md#what-its-for-in-short)",
    "# Here\n[a](#here)",
    "[a](https://example.org/x) [b](mailto:a@example.org)",
    "```\n[a](nowhere.md)\n```\n`[a](nowhere.md)`",
  ];
  for (const page of fine) assert.equal(problems(brokenLinks, page), 0, page);
  for (const page of [
    "[a](nowhere.md)",
    "[a](README.md)",
    "[a](formats/fleet.md#nothing)",
    "[a](#here)",
    "```\nx\n```\n[a](x.md)",
  ]) {
    assert.equal(problems(brokenLinks, page), 1, page);
  }
  assert.deepEqual(brokenLinks(project("\n\n[a](x.md)"), "docs/page.md"), [
    'docs/page.md:3: the link "x.md" leads nowhere',
  ]);
});

test("paths in code spans must exist, unless they stand for many", () => {
  const fine = [
    "`src/core/age/seal.ts`",
    "`src/core/age/`",
    "`src/core`",
    "`test/flows/*.test.ts`",
    "`dist/x`",
    "src/nothing",
    "`node docs/page.md`",
    "`docs/NAME.md`",
  ];
  for (const page of fine) assert.equal(problems(missingPaths, page), 0, page);
  for (const page of ["`src/core/age/open.ts`", "`src/cor`", "see `cat docs/none.md`"]) {
    assert.equal(problems(missingPaths, page), 1, page);
  }
});

test("npm scripts that are named must exist", () => {
  assert.equal(problems(missingScripts, "`npm run demo` and `npm run -s demo -- --json`"), 0);
  assert.equal(problems(missingScripts, "```\nnpm run -s bench -- seal\n```"), 1);
});

test("headings in code blocks are none", () => {
  assert.deepEqual(headingsOf("# One\n```\n# two\n```\n## Three!\n"), ["one", "three"]);
});
