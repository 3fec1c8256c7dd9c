/** Recovery keys: since when each is one, and how long a removed one keeps its say (docs/formats/account-state.md, "Recovery keys"). */

/** How long a removed recovery key keeps its say, between acceptances. */
export const GRACE_SECONDS = 72 * 3600;

/** A recovery key that was removed and may still have its say. */
export interface GracedKey {
  /** `TYPE BASE64`. */
  readonly key: string;
  /** Version that made it a recovery key. */
  readonly since: number;
  /** Acceptance time of the version that removed it, Unix seconds. */
  readonly removedAt: number;
}

/** What is known of an account's recovery keys after a version. */
export interface RecoveryKeys {
  /** Recovery key -> version that made it one; a key that comes back while it still had its say keeps its version. */
  readonly recoverySince: ReadonlyMap<string, number>;
  /** In the order of their removal; expired ones may still stand here. */
  readonly graced: readonly GracedKey[];
}

const NONE: RecoveryKeys = { recoverySince: new Map(), graced: [] };

/** Removed recovery keys that still have their say at a time. */
export function gracedAt({ graced }: Pick<RecoveryKeys, "graced">, time: number): GracedKey[] {
  return graced.filter(({ removedAt }) => time - removedAt < GRACE_SECONDS);
}

/** Who was a recovery key with a say when a step was judged, and how old the oldest of them is that signed it. */
interface Say {
  readonly graced: readonly GracedKey[];
  readonly since: ReadonlyMap<string, number>;
  /** Infinity if none signed. */
  readonly signed: number;
}

function sayAt(before: RecoveryKeys, signers: ReadonlySet<string>, accepted: number): Say {
  const graced = gracedAt(before, accepted);
  const since = new Map([...before.recoverySince, ...graced.map(({ key, since }) => [key, since] as const)]);
  const signed = Math.min(...[...since].filter(([key]) => signers.has(key)).map(([, version]) => version));
  return { graced, since, signed };
}

/**
 * The recovery keys behind a step. A key that the new state does not name as a recovery key keeps its say for the rest of
 * its grace, unless a recovery key at least as old signed: so a thief with a newer key can't shut out the owner's older
 * one, and against the older one no key that a thief removed in time to come back later is of any use.
 * @param before null for version 1
 */
export function recoveryAfter(
  before: RecoveryKeys | null,
  { version, recovery }: { readonly version: number; readonly recovery: readonly string[] },
  signers: ReadonlySet<string>,
  accepted: number,
): RecoveryKeys {
  const { recoverySince } = before ?? NONE;
  const { graced, since, signed } = sayAt(before ?? NONE, signers, accepted);
  const named = new Map(recovery.map((key) => [key, since.get(key) ?? version]));
  const removed = [...recoverySince].map(([key, version]) => ({ key, since: version, removedAt: accepted }));
  return {
    recoverySince: named,
    graced: [...graced, ...removed].filter((one) => !named.has(one.key) && one.since < signed),
  };
}

/** True if a recovery key signed that no other one is older than: nobody but its holder can make such a step. */
export function isSignedByOldest(before: RecoveryKeys | null, signers: ReadonlySet<string>, accepted: number): boolean {
  const { since, signed } = sayAt(before ?? NONE, signers, accepted);
  return signed <= Math.min(...since.values()) && since.size > 0;
}
