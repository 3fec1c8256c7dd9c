import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PolicyError } from "#core/errors.ts";
import { parseSendmail, type SendmailCommand } from "./sendmail-flags.ts";

const DEFAULTS: SendmailCommand = {
  action: "send",
  fromHeader: false,
  ignoreDots: false,
  sender: null,
  name: null,
  verbose: false,
  anyway: false,
  profile: null,
  recipients: [],
};

describe("as programs call it", () => {
  const bob = { recipients: ["bob@example.net"] };
  for (const [who, words, expected] of [
    ["mutt", "-oem -oi -- bob@example.net", { ignoreDots: true, ...bob }],
    [
      "neomutt with all it knows",
      "-oem -oi -f alice@example.org -N failure,delay -R hdrs -B8BITMIME -- bob@example.net",
      { ignoreDots: true, sender: "alice@example.org", ...bob },
    ],
    [
      "aerc",
      "-i bob@example.net carol@example.com",
      { ignoreDots: true, recipients: ["bob@example.net", "carol@example.com"] },
    ],
    [
      "git send-email",
      "-i -f alice@example.org bob@example.net",
      { ignoreDots: true, sender: "alice@example.org", ...bob },
    ],
    ["bsd-mailx", "-i bob@example.net", { ignoreDots: true, ...bob }],
    ["s-nail", "-i -- bob@example.net", { ignoreDots: true, ...bob }],
    [
      "Debian's cron",
      "-FCronDaemon -i -B8BITMIME -oem alice",
      { ignoreDots: true, name: "CronDaemon", recipients: ["alice"] },
    ],
    [
      "cronie",
      "-FCronDaemon -i -odi -oem -oi -t -f root",
      { ignoreDots: true, fromHeader: true, name: "CronDaemon", sender: "root" },
    ],
    ["php", "-t -i -falice@example.org", { ignoreDots: true, fromHeader: true, sender: "alice@example.org" }],
    [
      "perl",
      "-ti -v -r alice@example.org",
      { ignoreDots: true, fromHeader: true, verbose: true, sender: "alice@example.org" },
    ],
    ["msmtp's own", "--profile work -t --anyway", { fromHeader: true, profile: "work", anyway: true }],
    ["sendmail's own", "-bm -Am -U -n -m -o7 -h 5 -L x -p ESMTP:h -V id bob@example.net", bob],
    ["mailq", "-bp", { action: "list" }],
    ["a queue run", "-q", { action: "flush" }],
    ["newaliases", "-bi", { action: "aliases" }],
    ["what looks like a flag", "-- -t", { recipients: ["-t"] }],
  ] as const) {
    test(who, () => assert.deepEqual(parseSendmail(words.split(" ")), { ...DEFAULTS, ...expected }));
  }
});

test("what is not done is refused", () => {
  for (const words of [
    "-bs",
    "-bd",
    "-bt",
    "-bv",
    "-b",
    "-C /etc/x.cf",
    "-X /tmp/log",
    "-OQueueDirectory=/tmp",
    "-oQ/tmp",
    "-oA/x",
    "-q30m",
    "-d0",
    "-D",
    "-s subject",
    "-f",
    "-x",
    "--tomorrow",
    "-tx",
  ]) {
    assert.throws(() => parseSendmail(words.split(" ")), PolicyError, words);
  }
});
