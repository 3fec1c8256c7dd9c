/** `shoal account` */

import type { VerbGroup } from "#cli/command.ts";
import { createVerb } from "./create.ts";
import { requestVerb } from "./request.ts";

export const accountVerbs: VerbGroup = {
  help: `usage: shoal account COMMAND [OPTION]...

Your account: a few keys, and what each of them may do. Only your master and
recovery keys change it; every machine of the server checks that for itself.

  create   make a new account
  request  print the signed state that waits for the operator

"shoal account COMMAND --help" says more.

Example:
  shoal account create alice@example.org
`,
  verbs: { create: createVerb, request: requestVerb },
};
