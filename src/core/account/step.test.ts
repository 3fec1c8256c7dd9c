/** The step rule against a model: owners and thieves make versions in any order, at any time, with the keys they hold. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import type { Key } from "#test/vectors/account-state/keys.ts";
import { named } from "#test/vectors/account-state/keys.ts";
import { GRACE_SECONDS } from "./grace.ts";
import { joinSigned } from "./signed-text.ts";
import { type AccountState, printState, stateNamespace } from "./state.ts";
import { acceptStep, parseProposal, type Standing } from "./step.ts";

const DOMAIN = "example.org";
const START = 1_800_000_000;

const MASTER = named("step master");
const OLD = named("step recovery");
const NEWER = named("step newer recovery");
const DEVICE = named("step device");
const THIEVES = ["x", "y", "z"].map((name) => named(`step thief ${name}`));
const STRANGER = named("step stranger");
const NEXT = named("step next master");
const KEYS = [MASTER, OLD, NEWER, DEVICE, NEXT, STRANGER, ...THIEVES];
const keyOfLine = new Map(KEYS.map((key) => [key.line, key]));

/** Verifying costs more than all else here: what was signed once is kept. */
const made = new Map<string, string>();

function signatureOf(key: Key, body: Buffer): string {
  const name = `${key.line} ${body.toString("latin1")}`;
  const signature = made.get(name) ?? key.sign(stateNamespace(DOMAIN), body);
  made.set(name, signature);
  return signature;
}

function signed(state: AccountState, signers: readonly Key[]): Buffer {
  const body = printState(state);
  return joinSigned({ body, signatures: signers.map((key) => signatureOf(key, body)) });
}

function take(standing: Standing | null, state: AccountState, signers: readonly Key[], accepted: number): Standing {
  return acceptStep(standing, parseProposal(signed(state, signers)), accepted, DOMAIN);
}

function next({ id, state, hash }: Standing, changes: Partial<AccountState>): AccountState {
  return { ...state, account: id, version: state.version + 1, prev: hash, ...changes };
}

/** The code of what is refused, else the new standing. */
function tried(step: () => Standing): Standing | string {
  try {
    return step();
  } catch (error) {
    if (error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError) return error.code;
    throw error;
  }
}

const device = { auth: true, seal: true, key: DEVICE.line };

/** The owner's account: the newer recovery key came with version 2. */
function ownersAccount(): Standing {
  const first: AccountState = {
    ...{ domain: DOMAIN, account: null, version: 1, prev: null, time: START },
    ...{ master: [MASTER.line], recovery: [OLD.line], devices: [device] },
  };
  const genesis = take(null, first, [MASTER, OLD], START);
  const both = { recovery: [OLD.line, NEWER.line].toSorted() };
  return take(genesis, next(genesis, both), [MASTER, NEWER], START + 60);
}
const ACCOUNT = ownersAccount();

/** What a thief tries: any lists of any keys, signed by any of the keys that he holds. */
interface Try {
  readonly waitSeconds: number;
  readonly master: readonly string[];
  readonly recovery: readonly string[];
  readonly device: string;
  readonly signers: readonly Key[];
  readonly ahead: number;
}

function tryWith(held: readonly Key[], maxWait: number): fc.Arbitrary<Try> {
  const lines = KEYS.map(({ line }) => line);
  return fc
    .record({
      waitSeconds: fc.integer({ min: 0, max: maxWait }),
      shuffled: fc.shuffledSubarray(lines, { minLength: 7 }),
      masters: fc.integer({ min: 1, max: 3 }),
      recoveries: fc.integer({ min: 0, max: 3 }),
      signers: fc.option(fc.shuffledSubarray([...held], { minLength: 1 })),
      // Mostly lists that the thief can sign for, or nothing would ever be accepted.
      own: fc.boolean(),
      ahead: fc.integer({ min: 0, max: 700 }),
    })
    .map(({ waitSeconds, shuffled, masters, recoveries, signers, own, ahead }) => {
      const mine = own ? shuffled.filter((line) => held.some((key) => key.line === line)) : shuffled;
      const master = mine.slice(0, masters);
      const recovery = mine.slice(master.length, master.length + recoveries);
      const device = shuffled.find((line) => !master.includes(line) && !recovery.includes(line)) ?? "";
      return { waitSeconds, master, recovery, device, signers: signers ?? held, ahead };
    });
}

/** The thief's step at a time, which may be refused. */
function attempt(standing: Standing, { master, recovery, device: key, signers, ahead }: Try, at: number): Standing {
  const time = Math.max(standing.state.time, at + ahead);
  const devices = [{ auth: true, seal: true, key }];
  const may = new Set([...standing.state.master, ...standing.state.recovery, ...master, ...recovery]);
  // Signatures without need would be refused, so some thieves leave them out.
  const useful = signers.filter(({ line }) => may.has(line) || standing.graced.some((one) => one.key === line));
  const chosen = useful.length > 0 ? useful : signers;
  const result = tried(() => take(standing, next(standing, { time, master, recovery, devices }), chosen, at));
  return typeof result === "string" ? standing : result;
}

test("nobody without a master or recovery key changes the account, whatever they sign and whenever", () => {
  const held = [DEVICE, STRANGER, ...THIEVES];
  fc.assert(
    fc.property(fc.array(tryWith(held, 100 * 3600), { maxLength: 8 }), (tries) => {
      let now = ACCOUNT.accepted;
      const before = structuredClone(ACCOUNT);
      for (const one of tries) {
        now += one.waitSeconds;
        assert.equal(attempt(ACCOUNT, one, now), ACCOUNT);
      }
      assert.deepEqual(ACCOUNT, before);
    }),
  );
});

test("removed keys of every kind don't either, when their say is over", () => {
  const held = [MASTER, NEWER, DEVICE, ...THIEVES];
  const ousted = take(
    ACCOUNT,
    next(ACCOUNT, { master: [NEXT.line], recovery: [OLD.line], devices: [{ ...device, key: STRANGER.line }] }),
    [OLD, NEXT],
    ACCOUNT.accepted,
  );
  fc.assert(
    fc.property(fc.array(tryWith(held, 100 * 3600), { maxLength: 8 }), (tries) => {
      let now = ousted.accepted;
      for (const one of tries) {
        now += one.waitSeconds;
        assert.equal(attempt(ousted, one, now), ousted);
      }
    }),
  );
});

/** Thieves with these keys act for less than 72 hours, then the owner comes with the oldest recovery key. */
function ownerWins(held: readonly Key[]): number {
  let changes = 0;
  fc.assert(
    fc.property(
      fc.array(tryWith(held, 30 * 3600), { minLength: 1, maxLength: 8 }),
      fc.array(tryWith(held, 200 * 3600), { maxLength: 6 }),
      fc.integer({ min: 0, max: GRACE_SECONDS - 1 }),
      (before, after, late) => {
        let standing = ACCOUNT;
        let now = ACCOUNT.accepted;
        let firstChange: number | null = null;
        for (const one of before) {
          now += one.waitSeconds;
          if (firstChange !== null && now - firstChange >= GRACE_SECONDS) break;
          const stolen = attempt(standing, one, now);
          if (stolen !== standing) {
            firstChange ??= now;
            changes++;
          }
          standing = stolen;
        }
        const comes = Math.max(standing.accepted, (firstChange ?? now) + late);
        if (firstChange !== null && comes - firstChange >= GRACE_SECONDS) return;
        const own = { master: [NEXT.line], recovery: [OLD.line], devices: [device] };
        const time = Math.max(comes, standing.state.time);
        const won = take(standing, next(standing, { ...own, time }), [OLD, NEXT], comes);
        assert.deepEqual(won.state.recovery, [OLD.line]);
        // Nothing that the thieves prepared is of any use from now on.
        let later = comes;
        for (const one of after) {
          later += one.waitSeconds;
          assert.equal(attempt(won, one, later), won);
        }
        assert.deepEqual(won.graced, []);
      },
    ),
    { numRuns: 200 },
  );
  return changes;
}

test("the owner's oldest recovery key wins within 72 hours against a stolen master", () => {
  assert.ok(ownerWins([MASTER, ...THIEVES]) > 50);
});

test("… against a stolen newer recovery key", () => {
  assert.ok(ownerWins([NEWER, DEVICE, ...THIEVES]) > 50);
});

test("… against both and a device key", () => {
  assert.ok(ownerWins([MASTER, NEWER, DEVICE, ...THIEVES]) > 50);
});

test("an honest owner is never refused, and what the rule keeps stays small", () => {
  const change = fc.record({
    waitSeconds: fc.integer({ min: 0, max: 50 * 3600 }),
    masters: fc.shuffledSubarray([MASTER, NEXT, STRANGER], { minLength: 1 }),
    recoveries: fc.shuffledSubarray([OLD, NEWER, ...THIEVES], { maxLength: 5 }),
    byRecovery: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      let standing = ACCOUNT;
      for (const { waitSeconds, masters, recoveries, byRecovery } of changes) {
        const at = standing.accepted + waitSeconds;
        const lines = (keys: readonly Key[]): string[] => keys.map(({ line }) => line).toSorted();
        const before =
          byRecovery && standing.state.recovery.length > 0 ? standing.state.recovery : standing.state.master;
        const known = [...standing.state.master, ...standing.state.recovery];
        const fresh = lines([...masters, ...recoveries]).filter((line) => !known.includes(line));
        const signers = [...new Set([before[0] ?? "", ...fresh])].flatMap((line) => keyOfLine.get(line) ?? []);
        const state = next(standing, { time: at, master: lines(masters), recovery: lines(recoveries) });
        standing = take(standing, state, signers, at);
        assert.deepEqual([...standing.recoverySince.keys()].toSorted(), lines(recoveries));
        assert.ok(standing.graced.every(({ key }) => !standing.recoverySince.has(key)));
        assert.equal(new Set(standing.graced.map(({ key }) => key)).size, standing.graced.length);
        assert.ok(standing.graced.every(({ removedAt }) => at - removedAt < GRACE_SECONDS));
      }
    }),
  );
});

test("a step leaves the standing before it as it was", () => {
  const before = structuredClone(ACCOUNT);
  const after = take(ACCOUNT, next(ACCOUNT, { recovery: [] }), [MASTER], ACCOUNT.accepted + 1);
  assert.deepEqual(ACCOUNT, before);
  assert.deepEqual(after.graced.map(({ key }) => key).toSorted(), [OLD.line, NEWER.line].toSorted());
  assert.equal(after.recoverySince.size, 0);
});

test("thieves can't outrun the owner: their pace ends and that of the oldest recovery key does not", () => {
  let standing = ACCOUNT;
  let count = 0;
  for (;;) {
    const stolen = tried(() => take(standing, next(standing, {}), [NEWER], ACCOUNT.accepted));
    if (typeof stolen === "string") {
      assert.equal(stolen, "PACE");
      break;
    }
    standing = stolen;
    count++;
  }
  assert.equal(count, 238);
  const won = take(standing, next(standing, { recovery: [OLD.line] }), [OLD], ACCOUNT.accepted);
  assert.deepEqual(won.graced, []);
  const late = ACCOUNT.accepted + 3600;
  assert.equal(
    tried(() => take(standing, next(standing, {}), [NEWER], late - 61)),
    "PACE",
  );
  assert.equal(take(standing, next(standing, {}), [MASTER], late).state.version, 241);
});
