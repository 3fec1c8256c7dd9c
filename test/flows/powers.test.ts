/** Where the powers of keys, accounts and machines end. Beside each refusal the same attempt works where it is allowed. */

import { asPerson } from "#test/world/stage.ts";
import { flowStage } from "./flow-stage.ts";
import { accountTests } from "./powers/account.ts";
import { appendKeyTests } from "./powers/append-key.ts";
import { cellRootTests } from "./powers/cell-root.ts";
import { depositKeyTests } from "./powers/deposit-key.ts";
import { mailboxesKeyTests } from "./powers/mailboxes-key.ts";
import { networkTests } from "./powers/network.ts";
import { ownerTests } from "./powers/owner.ts";
import { spamKeyTests } from "./powers/spam-key.ts";
import { sshFeatureTests } from "./powers/ssh-features.ts";

const stage = flowStage();

depositKeyTests(stage);
sshFeatureTests(stage, {
  "the link key of `in`": (open) => ({
    run: (script) => open.exec("in", ["sh", "-c", script]),
    ssh: "ssh -F none -i /etc/shoal/shoal-courier/alpha-fetch -o BatchMode=yes -o UserKnownHostsFile=/etc/shoal/shoal-courier/known_hosts",
    to: `deposit@${open.address("fetch")}`,
  }),
  "account bob": (open) => ({
    run: (script) => open.exec("user", asPerson("bob", script)),
    ssh: "ssh -F none -i ~/.config/shoal/default/id_ed25519 -o BatchMode=yes",
    to: `bob@${open.address("fetch")}`,
  }),
});
accountTests(stage);
mailboxesKeyTests(stage);
appendKeyTests(stage);
ownerTests(stage);
spamKeyTests(stage);
networkTests(stage);
cellRootTests(stage);
