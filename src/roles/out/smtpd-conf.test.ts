import assert from "node:assert/strict";
import { test } from "node:test";
import { outSmtpdConf } from "./smtpd-conf.ts";

const options = {
  hostname: "out.mail.example.org",
  domain: "example.org",
  inAddresses: ["192.0.2.17", "192.0.2.18"],
  ports: { strict: 10_025, anyway: 10_027, dane: 10_028 },
  trial: { domain: "trial.invalid", port: 10_030 },
  address: "192.0.2.97",
  anywayAddress: "192.0.2.241",
  noticesPort: 10_029,
  queueHours: 24,
  warnHours: 4,
  maxMessageBytes: 1000,
  maxRecipients: 100,
};

test("each port has its way, weak mail its own address, and mail is taken nowhere but on loopback", () => {
  const lines = outSmtpdConf(options).split("\n");
  assert.deepEqual(
    lines.filter((line) => line.startsWith("action")),
    [
      'action "home" relay host <home> helo "out.mail.example.org"',
      'action "notices" relay host "smtp+notls://127.0.0.1:10029" helo "out.mail.example.org"',
      'action "trial" relay host "smtp+notls://127.0.0.1:10030" helo "out.mail.example.org"',
      'action "strict" relay tls src "192.0.2.97" helo "out.mail.example.org"',
      'action "dane" relay tls no-verify src "192.0.2.97" helo "out.mail.example.org"',
      'action "anyway" relay src "192.0.2.241" helo "out.mail.example.org"',
    ],
  );
  assert.deepEqual(
    lines.filter((line) => line.startsWith("match")),
    [
      'match tag "strict" from any for domain "example.org" action "home"',
      'match tag "anyway" from any for domain "example.org" action "home"',
      'match tag "dane" from any for domain "example.org" action "home"',
      'match from local for domain "example.org" action "notices"',
      'match from any for domain "trial.invalid" action "trial"',
      'match tag "strict" from any for any action "strict"',
      'match tag "anyway" from any for any action "anyway"',
      'match tag "dane" from any for any action "dane"',
    ],
  );
  assert.ok(lines.includes('mta limit for domain "127.0.0.1" session-keepalive 0'));
  const listeners = lines.filter((line) => line.startsWith("listen"));
  assert.equal(listeners.length, 3);
  for (const line of listeners) assert.match(line, /^listen on 127\.0\.0\.1 port \d+ tag "\w+" /);
});

test("nothing gets out of a string", () => {
  assert.throws(() => outSmtpdConf({ ...options, domain: 'a"\nlisten on all' }), RangeError);
});
