import assert from "node:assert/strict";
import { test } from "node:test";
import { Chance } from "#test/drills/chance.ts";
import { type DrillMail, differences, drillMails } from "#test/drills/drill-mail.ts";

const mails = drillMails(200, new Chance(1));

function stored(mail: DrillMail): Buffer {
  return Buffer.from(`Shoal-Length: 7\n${mail.message.toString("latin1").replaceAll("\r\n", "\n")}`, "latin1");
}

test("a seed gives the same mails, half from each stranger, of all sizes, to one and to both", () => {
  assert.deepEqual(drillMails(200, new Chance(1)), mails);
  assert.notDeepEqual(drillMails(200, new Chance(2)), mails);
  assert.equal(new Set(mails.map(({ id }) => id)).size, 200);
  const sizes = mails.map(({ message }) => message.length);
  assert.ok(Math.min(...sizes) < 1000 && Math.max(...sizes) > 40_000 && Math.max(...sizes) < 61_000);
  const fromPostfix = mails.filter(({ stranger }) => stranger.kind === "postfix").length;
  assert.ok(fromPostfix > 70 && fromPostfix < 130, String(fromPostfix));
  assert.ok(mails.some(({ wanted }) => wanted.length === 2) && mails.some(({ wanted }) => wanted.length === 1));
});

test("what is lost, doubled, changed, foreign or unwanted is named", () => {
  const [first, second] = mails.filter(({ wanted }) => wanted.join() === "alice");
  const bobs = mails.find(({ wanted }) => wanted.join() === "bob");
  assert.ok(first && second && bobs);
  const few = [first, second, bobs];
  assert.deepEqual(differences("alice", few, [stored(second), stored(first)]), []);
  const says = (files: Buffer[]): string => differences("alice", few, files).join("\n");
  assert.match(says([stored(first)]), new RegExp(`^alice got ${second.id} 0 times .*$`));
  assert.match(says([stored(first), stored(second), stored(first)]), new RegExp(`^alice got ${first.id} 2 times .*$`));
  assert.match(says([stored(first), stored(second), stored(bobs)]), new RegExp(`^alice got ${bobs.id}, .* bob$`));
  assert.match(says([stored(first), stored(second), Buffer.from("Subject: other\n")]), /^alice got a mail that nobody/);
  assert.deepEqual(
    differences("alice", few, [stored(first)], (mail) => mail === second),
    [],
  );
  const changed = stored(first);
  changed[changed.length - 2] = 33;
  assert.match(says([changed, stored(second)]), new RegExp(`^alice got ${first.id} changed$`));
});
