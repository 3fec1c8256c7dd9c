/** `shoal`, the program of the mail user. */

import { basename } from "node:path";
import { isMainThread } from "node:worker_threads";
import { runProgram } from "#cli/command.ts";
import { accountVerbs } from "./account/verbs.ts";
import { deleteVerb } from "./delete.ts";
import { doctorVerb } from "./doctor.ts";
import { initVerb } from "./init.ts";
import { listVerb } from "./list.ts";
import { alertsVerb } from "./mailbox/alerts-verb.ts";
import { checkVerb } from "./send/check.ts";
import { outboxVerb } from "./send/outbox-verb.ts";
import { sendVerb } from "./send/send.ts";
import { sendmailVerb } from "./send/sendmail.ts";
import { showVerb } from "./show.ts";
import { syncVerb } from "./sync.ts";
import { verifyVerb } from "./verify/verify.ts";
import { watchVerb } from "./watch/watch.ts";

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

  account   make, show and change your account
  init      make this computer a further device of an account
  sync      fetch new mail into the Maildir
  watch     fetch mail as it comes, until it is ended
  list      list the mail in the Maildir
  show      show one mail
  alerts    what was found wrong with the mailbox
  doctor    how things are, and what to do
  delete    remove mail from the server that is kept there
  verify    check the whole mailbox from scratch, or write a proof of it
  send      send a message
  check     ask how well mail to an address is protected on its way
  outbox    show, send or forget what could not be handed over
  sendmail  take a message as the program "sendmail" does

"shoal COMMAND --help" says more. Exit status 75 means: try again, nothing is
lost.

Example:
  shoal account create alice@example.org
  shoal sync
  shoal list
`,
      verbs: {
        account: accountVerbs,
        init: initVerb,
        sync: syncVerb,
        watch: watchVerb,
        list: listVerb,
        show: showVerb,
        alerts: alertsVerb,
        doctor: doctorVerb,
        delete: deleteVerb,
        verify: verifyVerb,
        send: sendVerb,
        check: checkVerb,
        outbox: outboxVerb,
        sendmail: sendmailVerb,
      },
    },
    words(basename(process.argv[1] ?? ""), process.argv.slice(2)),
  );
}

/** Links to this file by the names of old programs are called as these are. */
function words(name: string, argv: string[]): string[] {
  if (name === "sendmail") return ["sendmail", ...argv];
  return name === "mailq" ? ["outbox", "list"] : argv;
}
