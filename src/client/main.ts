/** `shoal`, the program of the mail user. */

import { isMainThread } from "node:worker_threads";
import { runProgram } from "#cli/command.ts";
import { accountVerbs } from "./account/verbs.ts";
import { initVerb } from "./init.ts";
import { listVerb } from "./list.ts";
import { showVerb } from "./show.ts";
import { syncVerb } from "./sync.ts";

// A thread of this program starts with the same file when it is built into one; threads know what to do.
if (isMainThread) {
  // Making files durable waits for the disk, many at a time.
  process.env["UV_THREADPOOL_SIZE"] ??= "16";
  // New files hold mail: for nobody else to read.
  process.umask(0o077);

  await runProgram(
    {
      name: "shoal",
      version: "0.1.0",
      help: `usage: shoal COMMAND [OPTION]...

Your mail, sealed on the way in, opened only on this computer.

  account  make, show and change your account
  init     make this computer a further device of an account
  sync     fetch new mail into the Maildir
  list     list the mail in the Maildir
  show     show one mail

"shoal COMMAND --help" says more. Exit status 75 means: try again, nothing is
lost.

Example:
  shoal account create alice@example.org
  shoal sync
  shoal list
`,
      verbs: { account: accountVerbs, init: initVerb, sync: syncVerb, list: listVerb, show: showVerb },
    },
    process.argv.slice(2),
  );
}
