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
  // What the operating system did not do ("syscall" is what Node calls it by), it may do once there is room.
  if (error instanceof HostError || (error instanceof Error && "syscall" in error)) return EXIT.temporary;
  return EXIT.software;
}
