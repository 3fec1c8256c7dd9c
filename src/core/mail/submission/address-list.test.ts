import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "#core/errors.ts";
import { parseMailboxes } from "#core/mail/mailboxes.ts";
import { parseAddressList } from "./address-list.ts";
import { printAddress } from "./envelope-address.ts";

function addressesOf(value: string): string[] {
  const field = { name: "To", key: "to", value, place: { message: Buffer.from(`To: ${value}\r\n`), offset: 0 } };
  return parseAddressList(field, { groups: true }).map(({ address }) => printAddress(address));
}

test("reads lists, names, comments and groups", () => {
  for (const [value, expected] of [
    ["bob@example.net", ["bob@example.net"]],
    ["<bob@example.net>", ["bob@example.net"]],
    ["Bob Builder <bob@example.net>,carol@example.com", ["bob@example.net", "carol@example.com"]],
    ['"Builder, Bob \\"B\\"" <Bob@Example.NET>', ["Bob@example.net"]],
    ['Bob "The" Builder<bob@example.net>', ["bob@example.net"]],
    ["(a (b) \\)) Bob (c) < (d) bob@example.net (e) > (f)", ["bob@example.net"]],
    ["Empty:;", []],
    ["Empty: ;, bob@example.net", ["bob@example.net"]],
    [
      '"F, riends": bob@example.net, Carol <carol@example.com>;, dave@example.com',
      ["bob@example.net", "carol@example.com", "dave@example.com"],
    ],
    ["=?utf-8?q?J=C3=B6rg?= <j@example.net>", ["j@example.net"]],
    ["=?utf-8?q?J._J=C3=B6rg?= <j@example.net>", ["j@example.net"]],
    ["a.b.c+d=e_f~g#h@sub.example.net", ["a.b.c+d=e_f~g#h@sub.example.net"]],
  ] as const) {
    assert.deepEqual(addressesOf(value), expected, value);
  }
});

test("what is accepted is read alike by the lenient reader, so nobody sees other recipients than mail goes to", () => {
  const piece = fc.constantFrom(
    ...[
      "bob@example.net",
      "<",
      ">",
      ",",
      ";",
      ":",
      " ",
      '"',
      "(",
      ")",
      "\\",
      "Bob",
      "@",
      ".",
      "carol@example.com",
      "<dave@example.org>",
    ],
  );
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
      const value = pieces.join("").trim();
      let addresses: string[];
      try {
        addresses = addressesOf(value);
      } catch (error) {
        assert.ok(error instanceof FormatError);
        assert.match(error.message, /^line 1: To: /);
        return;
      }
      accepted += 1;
      const lenient = parseMailboxes(value).flatMap(({ address }) => (address === "" ? [] : [address]));
      assert.deepEqual(
        addresses,
        lenient.map((address) => address.replace(/@.*/, (domain) => domain.toLowerCase())),
      );
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 20, `${accepted} accepted`);
});
