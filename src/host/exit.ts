import { FormatError, HostError, PolicyError, VerifyError } from "#core/errors.ts";

/** Exit statuses of `sysexits.h`. 75 means: try again, nothing is lost. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 64,
  data: 65,
  software: 70,
  temporary: 75,
  protocol: 76,
  denied: 77,
  config: 78,
} as const;

const WORD_AGAINST_WORD: ReadonlySet<string> = new Set(["ACCOUNT", "FORK", "ROLLBACK"]);

/** The exit status that belongs to an error. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof FormatError) return error.code === "CONFIG" ? EXIT.config : EXIT.data;
  // Another machine's word against what is known: no fault of the data at hand.
  if (error instanceof VerifyError && WORD_AGAINST_WORD.has(error.code)) return EXIT.protocol;
  if (error instanceof VerifyError) return EXIT.data;
  if (error instanceof PolicyError) return error.code === "USAGE" ? EXIT.usage : EXIT.denied;
  if (error instanceof HostError) return EXIT.temporary;
  return EXIT.software;
}
