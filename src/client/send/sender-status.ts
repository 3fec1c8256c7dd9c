/** Exit statuses as `out` gives them, also for what is refused before it is asked (docs/formats/submission.md, "Answers"). */

import type { Verb } from "#cli/command.ts";
import { complain } from "#cli/terminal.ts";
import { FormatError } from "#core/errors.ts";
import { SUBMISSION_STATUS } from "#core/mail/submission/answer.ts";

/** The same verb, which ends with 67 for an address that mail is not sent to. */
export function withSenderStatus(verb: Verb): Verb {
  return {
    ...verb,
    async run(operands, options) {
      try {
        return await verb.run(operands, options);
      } catch (error) {
        if (!(error instanceof FormatError && error.code === "RECIPIENT")) throw error;
        complain("shoal", error);
        return SUBMISSION_STATUS.recipient;
      }
    },
  };
}
