import assert from "node:assert/strict";
import { test } from "node:test";
import { type SmtpdConfOptions, smtpdConf } from "./smtpd-conf.ts";

const options: SmtpdConfOptions = {
  hostname: "mx.example.org",
  domain: "example.org",
  frontPort: 10_025,
  courierPort: 10_026,
  maxMessageBytes: 1000,
  maxRecipients: 50,
  rspamdUrl: "http://192.0.2.3:11333",
  sealCommand: "/usr/bin/node /usr/lib/shoal/shoal-seal.mjs /etc/shoal/seal.json",
  sealUser: "shoal-seal",
};

test("the way of a message through smtpd, line by line", () => {
  const way = smtpdConf(options)
    .split("\n")
    .filter((line) => /^(filter|listen|action|match)/.test(line));
  assert.deepEqual(way, [
    'filter "rspamd" proc-exec "filter-rspamd -url http://192.0.2.3:11333"',
    'filter "seal" proc-exec "/usr/bin/node /usr/lib/shoal/shoal-seal.mjs /etc/shoal/seal.json" user "shoal-seal"',
    'filter "inbound" chain { "rspamd", "seal" }',
    'listen on 127.0.0.1 port 10025 proxy-v2 filter "inbound" tag "world" hostname "mx.example.org" mask-src no-dsn',
    'action "courier" relay host "smtp+notls://127.0.0.1:10026" src <sources> helo "mx.example.org"',
    'match tag "world" from any for domain "example.org" action "courier"',
  ]);
});

test("without rspamd every message still passes seal", () => {
  const config = smtpdConf({ ...options, rspamdUrl: null });
  assert.match(config, /^filter "inbound" chain \{ "seal" \}$/m);
  assert.doesNotMatch(config, /rspamd/);
});

test("nothing breaks out of its string", () => {
  for (const domain of ['example.org" action "other', "a\\", "a\nmatch from any for any reject", "ä"]) {
    assert.throws(() => smtpdConf({ ...options, domain }), RangeError);
  }
});
