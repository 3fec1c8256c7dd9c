/** A drill: somebody is root on one machine and tries everything; each attempt must end as docs/trust.md says. */

export interface Attempt<Scene> {
  /** What the attacker tries, as docs/trust.md would put it: "add a key to an account". */
  what: string;
  /** Whether docs/trust.md says that this machine's root can do it. */
  documented: "can" | "can't";
  /**
   * Tries it for real.
   * @returns null if it failed; else what the attacker got, and for what owners must notice, that they were told
   * @throws when the drill itself could not be carried out
   */
  run(scene: Scene): Promise<string | null>;
  /** Mends what the attempt broke, so that the next one finds an honest fleet. */
  mend?(scene: Scene): Promise<void>;
}

export interface Outcome {
  what: string;
  documented: "can" | "can't";
  /** What the attacker got; null for nothing. */
  got: string | null;
  /** Why the outcome is not as documented; null if it is. */
  unexpected: string | null;
  seconds: number;
}

export interface DrillReport {
  attempts: number;
  /** Attempts that succeeded, as the trust table says they do. */
  succeededAsDocumented: number;
  /** Attempts that ended otherwise than the trust table says, or could not be carried out. */
  unexpected: number;
  outcomes: Outcome[];
}

/** Runs all attempts one after another; one that breaks is counted and does not end the drill. */
export async function runAttempts<Scene>(
  attempts: readonly Attempt<Scene>[],
  scene: Scene,
  tell: (text: string) => void,
): Promise<DrillReport> {
  const outcomes: Outcome[] = [];
  for (const attempt of attempts) {
    const { what, documented } = attempt;
    const started = performance.now();
    let got: string | null = null;
    let unexpected: string | null = null;
    try {
      got = await attempt.run(scene);
      if ((got !== null) !== (documented === "can")) unexpected = got === null ? "it failed" : `it got: ${got}`;
    } catch (error) {
      unexpected = `could not be tried: ${error instanceof Error ? error.message : String(error)}`;
    }
    try {
      await attempt.mend?.(scene);
    } catch (error) {
      unexpected = `${unexpected ?? ""} could not be mended: ${error instanceof Error ? error.message : String(error)}`;
    }
    outcomes.push({ what, documented, got, unexpected, seconds: (performance.now() - started) / 1000 });
    tell(`${unexpected === null ? "ok  " : "BAD "} ${documented.padEnd(5)} ${what}${got === null ? "" : ` -> ${got}`}`);
    if (unexpected !== null) tell(`     ${unexpected}`);
  }
  return {
    attempts: outcomes.length,
    succeededAsDocumented: outcomes.filter(({ got, unexpected }) => got !== null && unexpected === null).length,
    unexpected: outcomes.filter(({ unexpected }) => unexpected !== null).length,
    outcomes,
  };
}
