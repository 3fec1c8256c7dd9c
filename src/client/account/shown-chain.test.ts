import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type Accepted, printChain } from "#core/account/chain.ts";
import { VerifyError } from "#core/errors.ts";
import { lineOf, makeKey, Owner } from "#test/owner.ts";
import { judgeShown, type KnownChain, MAX_LAG_SECONDS } from "./shown-chain.ts";

const DOMAIN = "example.org";
const START = 1_800_000_000;
const NOTHING: KnownChain = { id: null, versions: [], standing: null, learned: null };

/** A chain of so many versions, an hour apart. */
function chain(count: number, owner = new Owner(DOMAIN, START)): Accepted[] {
  const versions: Accepted[] = [{ accepted: START, signed: owner.genesis }];
  while (versions.length < count) {
    const time = START + 3600 * versions.length;
    const device = { auth: true, seal: true, key: lineOf(makeKey()) };
    const signed = owner.advance({ time, devices: [...owner.standing.state.devices, device].slice(-3) });
    versions.push({ accepted: time, signed });
  }
  return versions;
}

const owner = new Owner(DOMAIN, START);
const versions = chain(6, owner);
/** When this computer learned what it knows, */
const learned = START + 1_000_000;
/** and when there is no more excuse for not showing it. */
const late = learned + MAX_LAG_SECONDS;

function judge(known: KnownChain, shown: readonly Accepted[] | Buffer, now = late): KnownChain {
  return judgeShown(known, Buffer.isBuffer(shown) ? shown : printChain(shown), DOMAIN, now);
}

function known(count: number): KnownChain {
  return judge(NOTHING, versions.slice(0, count), learned);
}

function refuses(code: string, work: () => unknown, message?: string): void {
  assert.throws(work, (error) => error instanceof VerifyError && error.code === code, message);
}

test("whatever is known, the owner's chain leads to the same standing", () => {
  for (let before = 0; before <= 6; before++) {
    for (let shown = before; shown <= 6; shown++) {
      const after = judge(before === 0 ? NOTHING : known(before), versions.slice(0, shown));
      assert.deepEqual({ ...after, learned }, { ...known(shown), learned });
      assert.equal(after.learned, shown === before ? (before === 0 ? null : learned) : late);
    }
  }
  assert.equal(known(6).id, owner.id);
  assert.deepEqual(known(6).standing?.state, owner.standing.state);
});

test("less is a rollback, but for a version that became known a moment ago", () => {
  for (let shown = 0; shown < 6; shown++) {
    refuses("ROLLBACK", () => judge(known(6), versions.slice(0, shown)));
    assert.deepEqual(judge(known(6), versions.slice(0, shown), late - 1), known(6));
  }
  refuses("ROLLBACK", () => judge(known(6), versions.slice(0, 5), learned - 1), "a clock that was set back");
});

test("another history is a fork, whether it is longer, shorter or as long", () => {
  const other = chain(8);
  for (const count of [1, 3, 6, 8]) refuses("FORK", () => judge(known(6), other.slice(0, count)));
  for (const count of [3, 6, 8]) {
    refuses("FORK", () => judge(known(3), [...versions.slice(0, 2), ...other.slice(2, count)]));
    refuses("FORK", () => judge(known(2), [...versions.slice(0, 2), ...other.slice(2, count)]));
  }
  refuses("FORK", () => judge({ ...NOTHING, id: owner.id }, other), "the id was pinned");
  assert.equal(judge({ ...NOTHING, id: owner.id }, versions).standing?.state.version, 6);
});

test("the same versions with other acceptances or signatures are a fork: they could bring removed keys back", () => {
  const [first, ...rest] = versions;
  assert.ok(first !== undefined);
  refuses("FORK", () => judge(known(6), [{ ...first, accepted: START + 1 }, ...rest]));
  const again = new Owner(DOMAIN, START);
  const body = again.propose({ time: START + 3600 });
  const both = again.propose({ time: START + 3600 }, [again.master, again.recovery]);
  const seen = judge(NOTHING, [
    { accepted: START, signed: again.genesis },
    { accepted: START + 3600, signed: body },
  ]);
  refuses("FORK", () =>
    judge(seen, [
      { accepted: START, signed: again.genesis },
      { accepted: START + 3600, signed: both },
    ]),
  );
});

test("what the keys of the account have not signed adds nothing", () => {
  const thief = makeKey();
  const from = new Owner(DOMAIN, START);
  const genesis = { accepted: START, signed: from.genesis };
  const stolen = from.propose({ time: START + 60, master: [lineOf(thief)] }, [thief]);
  refuses("FORK", () => judge(NOTHING, [genesis, { accepted: START + 60, signed: stolen }]));
  const device = from.propose({ time: START + 60 }, [from.device]);
  refuses("FORK", () => judge(judge(NOTHING, [genesis]), [genesis, { accepted: START + 60, signed: device }]));
  refuses("FORK", () => judgeShown(NOTHING, printChain([genesis]), "example.net", late), "another domain");
});

test("an acceptance in the future is not believed", () => {
  refuses("CLOCK", () => judge(NOTHING, versions.slice(0, 1), START - 3600));
});

test("no byte that is changed, no cut and no doubling passes for the known chain or for more", () => {
  const whole = printChain(versions.slice(0, 3));
  const before = known(3);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ change;
      assert.throws(() => judge(before, bytes), VerifyError);
      assert.throws(() => judge(before, whole.subarray(0, at)), VerifyError);
    }),
    { numRuns: 300 },
  );
  refuses("FORK", () => judge(before, Buffer.concat([whole, whole])));
});
