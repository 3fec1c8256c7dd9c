import assert from "node:assert/strict";
import { test } from "node:test";
import { accountUsers, systemNames, uidOf, withAccounts } from "./unix-users.ts";

const files = {
  passwd:
    "root:x:0:0::/root:/bin/sh\nold:x:20003:20003::/:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/false\n+::::::\n",
  group: "root:x:0:\nshadow:x:42:\nold:x:20003:\n",
  shadow: "root:*:1::::::\nold:*:20000:0:99999:7:::\nstale:$6$x:1::::::\nnobody:*:1::::::\n",
};

test("accounts are replaced, everything else stays as it was", () => {
  const fresh = withAccounts(files, [{ name: "alice", uid: 20_000 }]);
  assert.deepEqual(fresh, {
    passwd:
      "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n+::::::\nalice:x:20000:20000::/:/usr/sbin/nologin\n",
    group: "root:x:0:\nshadow:x:42:\nalice:x:20000:\n",
    shadow: "root:*:1::::::\nnobody:*:1::::::\nalice:*:20000:0:99999:7:::\n",
  });
  assert.deepEqual(withAccounts(fresh, [{ name: "alice", uid: 20_000 }]), fresh);
  const shared = withAccounts(files, [{ name: "alice", uid: 20_000 }], "/bin/sh", 902);
  assert.match(shared.passwd, /^alice:x:20000:902::\/:\/bin\/sh$/m);
  assert.deepEqual(shared.group, fresh.group);
  assert.deepEqual([...accountUsers(shared)], [["alice", 20_000]]);
});

test("who is the machine's own and who is an account", () => {
  assert.deepEqual([...systemNames(files)], ["root", "nobody", "+", "shadow"]);
  assert.deepEqual([...accountUsers(files)], [["old", 20_003]]);
  assert.equal(uidOf(files, "nobody"), 65_534);
  assert.equal(uidOf(files, "nobod"), undefined);
});
