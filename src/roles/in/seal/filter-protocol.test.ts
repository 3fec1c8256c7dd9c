import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseFilterLine, printDataLines, printResult } from "./filter-protocol.ts";

const id = "7641df9771b4ed00";
const token = "1ef1c203cc576e5d";

test("requests and reports of smtpd-filters(7)", () => {
  const request = parseFilterLine(Buffer.from(`filter|0.7|1576146008.006099|smtp-in|rcpt-to|${id}|${token}|a|b@c`));
  assert.equal(request?.kind, "filter");
  assert.deepEqual(
    { ...request, parameter: request.parameter.toString() },
    { kind: "filter", phase: "rcpt-to", session: id, token, parameter: "a|b@c" },
  );
  const report = `report|0.7|1576146008.006099|smtp-in|link-connect|${id}|host.example|pass|192.0.2.1:33174|192.0.2.2:25`;
  assert.deepEqual(parseFilterLine(Buffer.from(report)), {
    kind: "report",
    event: "link-connect",
    session: id,
    rest: "host.example|pass|192.0.2.1:33174|192.0.2.2:25",
  });
  const bare = parseFilterLine(Buffer.from(`report|0.7|1.0|smtp-in|link-disconnect|${id}`));
  assert.deepEqual(bare, { kind: "report", event: "link-disconnect", session: id, rest: "" });
  const empty = parseFilterLine(Buffer.from(`filter|0.7|1.0|smtp-in|data-line|${id}|${token}|`));
  assert.ok(empty?.kind === "filter" && empty.parameter.length === 0);
});

test("other lines are nothing", () => {
  for (const line of [
    "",
    "filter",
    "filter|0.7|1.0|smtp-in",
    `filter|0.7|1.0|smtp-out|rcpt-to|${id}|${token}|a`,
    `filter|1.0|1.0|smtp-in|rcpt-to|${id}|${token}|a`,
    `filter|0.7|1.0|smtp-in|rcpt-to|${id}`,
    `filter|0.7|1.0|smtp-in|rcpt-to|xyz|${token}|a`,
    `report|0.7|1.0|smtp-in|tx-mail|${"1".repeat(17)}|a`,
  ]) {
    assert.equal(parseFilterLine(Buffer.from(line)), null, line);
  }
});

test("no bytes make it throw", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("", "filter|0.7|1|smtp-in|x|", "report|0.7|1|smtp-in|x|"),
      fc.uint8Array(),
      (head, tail) => {
        parseFilterLine(Buffer.concat([Buffer.from(head), tail]));
      },
    ),
  );
});

test("answers", () => {
  const request = { kind: "filter", phase: "commit", session: id, token, parameter: Buffer.alloc(0) } as const;
  assert.equal(printResult(request, null), `filter-result|${id}|${token}|proceed\n`);
  assert.equal(printResult(request, "451 4.3.0 x"), `filter-result|${id}|${token}|reject|451 4.3.0 x\n`);
  assert.equal(printDataLines(request, []), "");
  assert.equal(
    printDataLines(request, ["a", "b"]),
    `filter-dataline|${id}|${token}|a\nfilter-dataline|${id}|${token}|b\n`,
  );
});
