import assert from "node:assert/strict";
import { test } from "node:test";
import { Chance } from "#test/drills/chance.ts";
import { type Fate, fatesOf, type OutMail, outcomeOf, outMails, people } from "#test/drills/out-mail.ts";

const mails = outMails(200, new Chance(1));

function mailTo(...to: string[]): OutMail {
  const mail = mails.find((one) => one.to.join() === to.join());
  assert.ok(mail);
  return mail;
}

const strict = mailTo(people.trusted);
const both = mailTo(people.trusted, people.untrusted);
const bounced = mailTo(people.nobody);

function arrived(mail: OutMail, number = "0123abcd", messageId = "1"): Buffer {
  const top = `Received: from out\n\tby out.mail.shoal.example (OpenSMTPD) with ESMTP id ${number}\nMessage-ID: <${messageId}>\n`;
  return Buffer.from(top + mail.message, "latin1");
}

function notice(mail: OutMail, address: string): Buffer {
  return Buffer.from(
    `Subject: not delivered\n\nFinal-Recipient: rfc822; ${address}\n\nSubject: ${mail.id}\n`,
    "latin1",
  );
}

function judged(mail: OutMail, fate: Fate, files: Record<string, Buffer[]>, notices: Buffer[] = []): string {
  const fates = new Map([[mail, new Map(mail.to.map((address) => [address, fate]))]]);
  return outcomeOf(fates, { mails: new Map(Object.entries(files)), notices }).wrong.join("\n");
}

test("a seed gives the same mails, of all ways", () => {
  assert.deepEqual(outMails(200, new Chance(1)), mails);
  assert.equal(new Set(mails.map(({ id }) => id)).size, 200);
  assert.ok(new Set(mails.map(({ to }) => to.join())).size >= 6);
});

test("what is lost, doubled, changed, foreign, or came though it was refused is named", () => {
  const { trusted, untrusted, nobody } = people;
  assert.equal(judged(strict, "accepted", { [trusted]: [arrived(strict)] }), "");
  assert.match(judged(strict, "accepted", {}), / is lost$/);
  assert.match(judged(both, "accepted", { [trusted]: [arrived(both)] }), /to ada@exim\.example.* is lost$/);
  assert.equal(judged(both, "accepted", { [trusted]: [arrived(both)], [untrusted]: [arrived(both)] }), "");
  const doubled = [arrived(strict), arrived(strict, "ffffffff")];
  for (const fate of ["accepted", "unknown"] as const) {
    assert.match(judged(strict, fate, { [trusted]: doubled }), /came 2 times, 0 notices$/);
  }
  assert.match(
    judged(strict, "accepted", { [trusted]: [arrived(strict), arrived(strict, undefined, "2")] }),
    /came 1 /,
  );
  assert.match(judged(strict, "refused", { [trusted]: [arrived(strict)] }), /refused, came all the same$/);
  assert.equal(judged(strict, "unknown", {}), "");
  assert.match(judged(strict, "accepted", { [untrusted]: [arrived(strict)] }), /got what was not for it/);
  const changed = arrived(strict);
  changed[changed.length - 4] = 33;
  assert.match(judged(strict, "accepted", { [trusted]: [changed] }), /got \S+ changed$/);

  assert.equal(judged(bounced, "accepted", {}, [notice(bounced, nobody)]), "");
  assert.match(judged(bounced, "accepted", {}), / is lost$/);
  assert.match(judged(bounced, "accepted", {}, [notice(bounced, nobody), notice(bounced, nobody)]), /2 notices$/);
  assert.match(judged(bounced, "refused", {}, [notice(bounced, nobody)]), /came all the same$/);
  const twice = judged(strict, "accepted", { [trusted]: [arrived(strict)] }, [notice(strict, trusted)]);
  assert.match(twice, /came 1 times, 1 notices$/);
});

test("what smtpd sent again is told apart", () => {
  const fates = new Map([[strict, new Map([[people.trusted, "accepted" as const]])]]);
  const files = new Map([[people.trusted, [arrived(strict), arrived(strict)]]]);
  assert.deepEqual(outcomeOf(fates, { mails: files, notices: [] }), {
    wrong: [],
    again: [`${strict.id} ${people.trusted}`],
    bounced: 0,
  });
});

test("what a sender may conclude from an answer", () => {
  const { trusted, untrusted } = people;
  const of = (status: number | null, out: string, err = ""): string | null => {
    const fates = fatesOf(both, { status, out, err });
    return fates === null ? null : [...fates.values()].join();
  };
  assert.equal(of(0, "accepted: 2 recipients, message <1@shoal.example>\n"), "accepted,accepted");
  assert.equal(of(255, "", "Connection reset"), "unknown,unknown");
  assert.equal(of(null, ""), "unknown,unknown");
  assert.equal(
    of(75, "", "refused: this machine can not take mail now; it may have left: try again later\n"),
    "unknown,unknown",
  );
  assert.equal(
    of(75, "", "refused: this machine can not take mail now; nothing was sent: try again later\n"),
    "refused,refused",
  );
  assert.equal(of(75, `accepted for: ${trusted}\nnot sent to: ${untrusted}\n`, "refused: x\n"), "accepted,refused");
  assert.equal(of(75, `perhaps sent to: ${trusted}\nnot sent to: ${untrusted}\n`, "refused: x\n"), "unknown,refused");
  assert.equal(of(77, "", "refused: forged\n"), null);
});
