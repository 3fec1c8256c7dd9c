/** `shoal account` */

import type { VerbGroup } from "#cli/command.ts";
import { addDeviceVerb } from "./add-device.ts";
import { addRecoveryVerb, removeRecoveryVerb } from "./add-recovery.ts";
import { createVerb } from "./create.ts";
import { historyVerb } from "./history.ts";
import { recoverVerb } from "./recover.ts";
import { removeDeviceVerb } from "./remove-device.ts";
import { requestVerb } from "./request.ts";
import { rotateMasterVerb } from "./rotate-master.ts";
import { showAccountVerb } from "./show.ts";
import { trustVerb } from "./trust.ts";

export const accountVerbs: VerbGroup = {
  help: `usage: shoal account COMMAND [OPTION]...

Your account: a few keys, and what each of them may do. Only your master and
recovery keys change it; every machine of the server checks that for itself,
and so does this computer.

  create           make a new account
  request          print the signed state that waits for the operator
  show             show the account and its devices
  history          show what was changed, when, and by which key
  add-device       let another computer or phone fetch and open mail
  remove-device    shut one out
  rotate-master    replace the master key
  add-recovery     add a recovery key
  remove-recovery  remove one
  recover          take the account back with a recovery key
  trust            pin the account's id on a further device

"shoal account COMMAND --help" says more. Changes are handed in at the "keys"
machine. Exit status 75 means: the change is signed and kept, nothing is lost.

Example:
  shoal account create alice@example.org
`,
  verbs: {
    create: createVerb,
    request: requestVerb,
    show: showAccountVerb,
    history: historyVerb,
    "add-device": addDeviceVerb,
    "remove-device": removeDeviceVerb,
    "rotate-master": rotateMasterVerb,
    "add-recovery": addRecoveryVerb,
    "remove-recovery": removeRecoveryVerb,
    recover: recoverVerb,
    trust: trustVerb,
  },
};
