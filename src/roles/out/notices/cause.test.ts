import assert from "node:assert/strict";
import { test } from "node:test";
import { causeOf } from "./cause.ts";

test("replies of servers, as odd as they are", () => {
  for (const [said, name, status] of [
    ["550 5.1.1 no", "no-such-user", "5.1.1"],
    ["550", "refused", "5.0.0"],
    ["550-", "refused", "5.0.0"],
    ["421", "put-off", "4.0.0"],
    ["551 5.1.6 try <spy@elsewhere.example>", "no-such-user", "5.1.6"],
    // Its own class, whatever stands behind it.
    ["450 5.1.1 confusing", "put-off", "5.1.1"],
    ["552 4.2.2 full", "mailbox-full", "4.2.2"],
    // Words of smtpd's in a stranger's mouth.
    ["550 Domain does not exist", "refused", "5.0.0"],
    ["550 Envelope expired", "refused", "5.0.0"],
    ["553 <html>no</html>", "refused", "5.0.0"],
  ] as const) {
    const cause = causeOf(said);
    assert.deepEqual([cause?.name, cause?.status, cause?.said], [name, status, said]);
  }
});

test("what smtpd says of the connection itself is no word about protection", () => {
  for (const [said, words] of [
    ["Connection closed unexpectedly", /ended the connection/],
    ["Connection timeout", /became silent/],
    ["Bad response: reply code out of range", /does not answer as mail servers do/],
    ["Remote host sent too much data", /does not answer as mail servers do/],
  ] as const) {
    const cause = causeOf(said);
    assert.equal(cause?.name, "no-way");
    assert.equal(cause.said, null);
    assert.match(cause.sentence, words);
  }
  for (const said of ["Network error on destination MXs", "Envelope expired", "", "5500 x", "55"]) {
    assert.equal(causeOf(said), null, said);
  }
});
