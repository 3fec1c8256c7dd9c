import assert from "node:assert/strict";
import { test } from "node:test";
import { exec } from "#host/exec.ts";
import { renderRelayScript } from "./relay-script.ts";

test("the script is one that a POSIX shell reads, whatever the path", async () => {
  for (const socket of ["/run/submit/socket", "/run/it's/$(x)/`y`"]) {
    const script = renderRelayScript({ socket });
    await exec("dash", ["-n"], { input: script });
    assert.ok(!/\[\[|<<<|\$'|\blocal\b|\bfunction\b|&>/.test(script));
  }
  assert.match(renderRelayScript({ socket: "/run/it's" }), /-U '\/run\/it'\\''s'/);
});

test("paths that could be read otherwise are refused", () => {
  for (const socket of ["", "a b", "a\nb", "-x", "ü"]) assert.throws(() => renderRelayScript({ socket }), RangeError);
});
