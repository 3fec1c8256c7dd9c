import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { hostileSubmissions } from "#test/hostile-submissions/hostile-submissions.ts";
import { END_OF_SUBMISSION, type SubmitStage, type SubmitStageOptions, say, startSubmit } from "./submit-stage.ts";

const MAIL = "From: alice@example.org\nTo: bob@example.net\nSubject: hi\n\nhello\n.\n..dots\n";

async function withSubmit(options: SubmitStageOptions, action: (stage: SubmitStage) => Promise<void>): Promise<void> {
  const stage = await startSubmit(options);
  try {
    await action(stage);
    for (const { mistakes } of Object.values(stage.smtpd)) assert.deepEqual(mistakes, []);
  } finally {
    await stage.stop();
  }
}

function takenBy(stage: SubmitStage): number {
  return stage.smtpd.strict.taken.length + stage.smtpd.anyway.taken.length + stage.smtpd.dane.taken.length;
}

test("a message is handed to smtpd as it leaves, and told", async () => {
  await withSubmit({}, async (stage) => {
    const answer = await stage.submit("alice", "", MAIL);
    assert.equal(answer.status, 0);
    assert.match(answer.out[0] ?? "", /^accepted: 1 recipient, message <[0-9a-f]{32}@example\.org>$/);
    const [mail] = stage.smtpd.strict.taken;
    assert.equal(mail?.from, "alice@example.org");
    assert.deepEqual(mail?.recipients, ["bob@example.net"]);
    assert.match(mail?.message.toString() ?? "", /^Date: [^]*\r\n\r\nhello\r\n\.\r\n\.\.dots\r\n$/);
    const json = await stage.submit("alice", "send --json", MAIL);
    assert.deepEqual(json.err, []);
    assert.equal(JSON.parse(json.out[0] ?? "").result, "accepted");
  });
});

test("each way has its port; send refuses what is not protected, and nothing is stored or counted", async () => {
  const to = "To: a@valid.example, b@none.example, c@dane.example, bob@example.org, d@valid.example";
  const message = MAIL.replace("To: bob@example.net", to);
  await withSubmit({}, async (stage) => {
    const refused = await stage.submit("alice", "send", message);
    assert.equal(refused.status, 75);
    assert.deepEqual(refused.out, [
      "tls valid valid.example - mx.valid.example",
      "tls-problem none.example certificate-expired mx.none.example",
      "tls bound dane.example dane mx.dane.example",
      "tls internal example.org - -",
    ]);
    assert.match(refused.err[0] ?? "", /^refused: the way to none\.example is not protected; nothing was sent$/);
    assert.equal(takenBy(stage), 0);
    assert.deepEqual((await stage.submit("alice", "limits")).out.slice(0, 2), [
      "messages 1000 of 1000",
      "new-recipients 1000 of 1000",
    ]);
    const json = JSON.parse((await stage.submit("alice", "send --json", message)).out[0] ?? "");
    assert.equal(json.code, "UNPROTECTED");
    assert.deepEqual(json.domains[1], {
      domain: "none.example",
      grade: "none",
      by: null,
      reason: "certificate-expired",
      server: "mx.none.example",
    });

    assert.equal((await stage.submit("alice", "send-anyway", message)).status, 0);
    const recipients = (way: "anyway" | "dane" | "strict") => stage.smtpd[way].taken.map((mail) => mail.recipients);
    assert.deepEqual(recipients("strict"), [["a@valid.example", "bob@example.org", "d@valid.example"]]);
    assert.deepEqual(recipients("anyway"), [["b@none.example"]]);
    assert.deepEqual(recipients("dane"), [["c@dane.example"]]);
    // Four of the five are outside.
    assert.deepEqual((await stage.submit("alice", "limits")).out.slice(0, 2), [
      "messages 999 of 1000",
      "new-recipients 996 of 1000",
    ]);
  });
});

test("check says what send would end with; help and limits need no message", async () => {
  await withSubmit({}, async (stage) => {
    assert.equal((await stage.submit("alice", "check x@valid.example y@example.org")).status, 0);
    const bad = await stage.submit("alice", "check --json x@valid.example y@none.example");
    assert.equal(bad.status, 75);
    assert.equal(JSON.parse(bad.out[0] ?? "").domains[1].reason, "certificate-expired");
    assert.match((await stage.submit("alice", "help")).out[0] ?? "", /^Usage: ssh/);
    const limits = JSON.parse((await stage.submit("alice", "limits --json")).out[0] ?? "");
    assert.deepEqual(limits.messages, { limit: 1000, left: 1000, next: null });
    assert.equal((await stage.submit("alice", "frobnicate")).status, 64);
  });
});

test("a message of another length than its sender said is not sent, whatever its end looks like", async () => {
  await withSubmit({}, async (stage) => {
    const bytes = Buffer.byteLength(MAIL);
    for (const wrong of [0, bytes - 1, bytes + 1, 9_999_999_999]) {
      const answer = await stage.submit("alice", `send-anyway --bytes ${wrong}`, MAIL);
      assert.equal(answer.status, 75, String(wrong));
      assert.match(answer.err.join(" "), /expected \d+ .*nothing was sent/);
    }
    assert.equal(takenBy(stage), 0);
    assert.equal((await stage.submit("alice", `send --json --bytes ${bytes}`, MAIL)).status, 0);
    assert.equal(takenBy(stage), 1);
    for (const command of [
      "send --bytes",
      "send --bytes -1",
      "send --bytes 1 --bytes 1",
      "check --bytes 1 x@a.example",
    ]) {
      assert.equal((await stage.submit("alice", command, MAIL)).status, 64, command);
    }
  });
});

test("before a message may leave, its script is told that it was taken", async () => {
  const seen: string[] = [];
  const watch = (line: string): undefined => void (line === "connect" && seen.push("smtpd"));
  await withSubmit({ strict: { answer: watch } }, async (stage) => {
    const socket = connect(stage.config.socket);
    socket.on("data", (chunk: Buffer) => seen.push(...chunk.toString().trimEnd().split("\n")));
    socket.end(`shoal-submit/v1\nlogin alice\ncommand 0\n${MAIL}${END_OF_SUBMISSION}`);
    await new Promise((resolve) => socket.on("close", resolve));
    assert.ok(seen.includes("smtpd") && seen.includes("exit 0"), seen.join());
    assert.equal(seen[0], "taken");
    assert.ok(!(await stage.submit("alice", "limits")).out.includes("taken"));
  });
});

test("domains that are looked at are limited, for check and for what is refused; others go on", async () => {
  await withSubmit({ limits: { domainsPerHour: 12 } }, async (stage) => {
    const many = Array.from({ length: 5 }, (_, index) => `x@d${index}.example`).join(" ");
    assert.equal((await stage.submit("alice", `check ${many}`)).status, 0);
    assert.equal((await stage.submit("alice", `send ${many} x@none.example`, MAIL)).status, 75);
    const late = await stage.submit("alice", `check ${many}`);
    assert.equal(late.status, 75);
    assert.match(late.err[0] ?? "", /12 domains were looked at in an hour/);
    const json = JSON.parse((await stage.submit("alice", `send --json ${many}`, MAIL)).out[0] ?? "");
    assert.equal(json.code, "PACE");
    assert.equal((await stage.submit("alice", "check y@example.org")).status, 0, "our own domain is not looked at");
    assert.equal((await stage.submit("bob", `check ${many}`)).status, 0);
    assert.deepEqual((await stage.submit("alice", "limits")).out.slice(0, 1), ["messages 1000 of 1000"]);
  });
});

test("a message without the script's last word is not sent, wherever it is cut", async () => {
  await withSubmit({}, async (stage) => {
    const head = "shoal-submit/v1\nlogin alice\ncommand 0\n";
    const whole = `${head}${MAIL}${END_OF_SUBMISSION}`;
    for (let length = 0; length < whole.length; length += 1) {
      const { status } = await say(stage.config.socket, [whole.slice(0, length)]);
      assert.equal(status, 75, whole.slice(0, length));
    }
    const inside = await say(stage.config.socket, [`${whole}more`]);
    assert.equal(inside.status, 75);
    assert.equal(takenBy(stage), 0);
  });
});

test("a head that the script does not send is refused, whoever is named in it", async () => {
  await withSubmit({}, async (stage) => {
    for (const head of [
      "shoal-submit/v2\nlogin alice\ncommand 0\n",
      "login alice\ncommand 0\n",
      "shoal-submit/v1\nlogin Alice\ncommand 0\n",
      "shoal-submit/v1\nlogin alice bob\ncommand 0\n",
      "shoal-submit/v1\nlogin \ncommand 0\n",
      "shoal-submit/v1\nlogin alice\r\ncommand 0\r\n",
      "shoal-submit/v1\nlogin alice\ncommand -1\n",
      "shoal-submit/v1\nlogin alice\ncommand 00\n",
      "shoal-submit/v1\nlogin alice\ncommand 9999999\n",
      `shoal-submit/v1\nlogin ${"a".repeat(4000)}\ncommand 0\n`,
      "\0".repeat(200_000),
    ]) {
      assert.equal((await say(stage.config.socket, [head, MAIL, END_OF_SUBMISSION])).status, 75, head.slice(0, 60));
    }
    assert.equal(takenBy(stage), 0);
  });
});

test("every hostile submission gets its status, and smtpd hears of none", async () => {
  await withSubmit({}, async (stage) => {
    for (const { name, command, message, expected } of hostileSubmissions()) {
      // Nobody has an alias here, so none can leak.
      if (expected.startsWith("ALIAS-LEAK")) continue;
      const answer = await stage.submit("alice", command.toString("latin1"), message ?? Buffer.alloc(0));
      assert.equal(answer.status, Number(/^[A-Z-]+ ([0-9]+)/.exec(expected)?.[1]), `${name}: ${expected}`);
    }
    assert.equal(takenBy(stage), 0);
  });
});

test("what smtpd refuses is refused for all, with its words, and not counted", async () => {
  const cases: [string, string, number][] = [
    ["MAIL", "451 4.3.0 later", 75],
    ["MAIL", "550 5.7.1 no", 77],
    ["RCPT TO:<b@", "550 5.1.1 nobody", 67],
    ["RCPT TO:<b@", "421 4.3.2 going down", 75],
    ["DATA", "452 4.3.1 disk", 75],
    ["DATA", "554 5.6.0 no", 77],
    [".", "451 4.7.1 later", 75],
    [".", "550 5.7.1 spam", 77],
    [".", "354 what", 75],
    ["EHLO", "502 no", 75],
    ["connect", "554 no", 75],
    ["MAIL", "250-a\r\n251 b", 75],
    ["MAIL", "hello", 75],
    ["MAIL", "250 \u0001", 75],
    ["MAIL", `250 ${"x".repeat(5000)}`, 75],
    ["MAIL", "250 ok\r\n250 more", 75],
  ];
  for (const pipelining of [false, true]) {
    for (const [command, reply, status] of cases) {
      const extensions = ["SIZE 1", "8BITMIME", ...(pipelining ? ["PIPELINING"] : [])];
      const answer = (line: string) => (line.startsWith(command) ? reply : undefined);
      await withSubmit({ strict: { extensions, answer } }, async (stage) => {
        // With a dot refused the order counts: the other way's dot would come first.
        const others = command === "." ? "b@example.net, c@" : "a@none.example, b@example.net, c@";
        const given = await stage.submit("alice", "send-anyway", MAIL.replace("bob@", others));
        assert.equal(given.status, status, `${command} ${reply} ${given.err.join("|")}`);
        assert.equal(takenBy(stage), 0);
        assert.equal((await stage.submit("alice", "limits")).out[0], "messages 1000 of 1000");
      });
    }
  }
});

test("taken for some and refused for others: both are named, and it is counted", async () => {
  const message = MAIL.replace("bob@example.net", "a@valid.example, b@none.example");
  const answer = (line: string) => (line === "." ? "550 5.7.1 spam" : undefined);
  await withSubmit({ anyway: { answer } }, async (stage) => {
    const given = await stage.submit("alice", "send-anyway", message);
    assert.equal(given.status, 75);
    assert.deepEqual(given.out, ["accepted for: a@valid.example", "not sent to: b@none.example"]);
    assert.match(given.err.join("\n"), /spam/);
    assert.equal((await stage.submit("alice", "limits")).out[0], "messages 999 of 1000");
    const json = JSON.parse((await stage.submit("alice", "send-anyway --json", message)).out[0] ?? "");
    assert.deepEqual([json.result, json.accepted, json.notSent], ["partly", ["a@valid.example"], ["b@none.example"]]);
  });
});

test("no answer to the last dot is no success, and is said as what it is", async () => {
  for (const reply of [null, "silence"]) {
    const answer = (line: string) => (line === "." ? reply : undefined);
    await withSubmit({ strict: { answer }, config: { replySeconds: 0.3 } }, async (stage) => {
      const given = await stage.submit("alice", "", MAIL);
      assert.equal(given.status, 75);
      assert.deepEqual(given.out, ["perhaps sent to: bob@example.net"]);
      assert.equal((await stage.submit("alice", "limits")).out[0], "messages 999 of 1000");
    });
  }
});

test("a kept session that has ended is replaced, and sessions are kept", async () => {
  await withSubmit({}, async (stage) => {
    for (let turn = 0; turn < 5; turn += 1) assert.equal((await stage.submit("alice", "", MAIL)).status, 0);
    assert.equal(stage.smtpd.strict.sessions(), 1);
    stage.smtpd.strict.cut();
    for (let turn = 0; turn < 5; turn += 1) assert.equal((await stage.submit("alice", "", MAIL)).status, 0);
    assert.equal(stage.smtpd.strict.sessions(), 2);
    assert.equal(takenBy(stage), 10);
  });
  // It ends just when it is used again.
  let mails = 0;
  const answer = (line: string) => (line.startsWith("MAIL") && ++mails === 2 ? null : undefined);
  await withSubmit({ strict: { answer } }, async (stage) => {
    assert.equal((await stage.submit("alice", "", MAIL)).status, 0);
    assert.equal((await stage.submit("alice", "", MAIL)).status, 0);
    assert.equal(takenBy(stage), 2);
  });
});

test("limits hold for each account, across restarts, and nobody's name is in the store", async () => {
  await withSubmit({ limits: { messagesPerDay: 3, newRecipientsPerDay: 2 } }, async (stage) => {
    const to = (...people: string[]) => `send ${people.join(" ")}`;
    assert.equal((await stage.submit("alice", to("marker1@example.net"), MAIL)).status, 0);
    await stage.restart();
    const tooMany = await stage.submit("alice", to("marker1@example.net", "b@example.net", "c@example.net"), MAIL);
    assert.equal(tooMany.status, 75);
    assert.match(tooMany.err.join("\n"), /expected at most 1 more now[^]*hint:/);
    assert.equal((await stage.submit("alice", to("a@x.example", "b@x.example", "c@x.example"), MAIL)).status, 77);
    assert.equal((await stage.submit("alice", to("marker1@example.net", "b@example.net"), MAIL)).status, 0);
    assert.equal((await stage.submit("alice", to("bob@example.org", "MARKER1@example.net"), MAIL)).status, 0);
    await stage.restart();
    const over = await stage.submit("alice", to("bob@example.org"), MAIL);
    assert.equal(over.status, 75);
    assert.match(over.err.join("\n"), /3 messages were sent in 24 hours[^]*hint: the next one can go after 20.* UTC/);
    assert.equal((await stage.submit("bob", "limits")).out[0], "messages 3 of 3");
    const bytes = Buffer.concat(["", "-wal"].map((end) => readFileSync(`${stage.config.store}${end}`)));
    assert.ok(!/marker1|alice|example/i.test(bytes.toString("latin1")));
    assert.equal(takenBy(stage), 3);
  });
});

test("many at once: all are counted once, and one more is refused", async () => {
  await withSubmit({ limits: { messagesPerDay: 30 } }, async (stage) => {
    const all = await Promise.all(Array.from({ length: 50 }, () => stage.submit("alice", "", MAIL)));
    assert.equal(all.filter(({ status }) => status === 0).length, 30);
    assert.equal(all.filter(({ status }) => status === 75).length, 20);
    assert.equal(takenBy(stage), 30);
  });
});

test("a message that is too large is refused before its end, and large ones get no more memory than there is", async () => {
  await withSubmit({ limits: { messageBytes: 100_000 }, config: { maxMemoryBytes: 1 } }, async (stage) => {
    const big = `${MAIL}${"x".repeat(70)}\n`.repeat(20_000);
    const answer = await stage.submit("alice", "", big);
    assert.equal(answer.status, 65);
    const fits = `${MAIL}${`${"x".repeat(70)}\n`.repeat(1200)}`;
    assert.equal((await stage.submit("alice", "", fits)).status, 0);
    // One that is not finished holds its memory: there is none for another.
    const slow = connect(stage.config.socket);
    slow.on("error", () => slow.destroy());
    slow.write(`shoal-submit/v1\nlogin alice\ncommand 0\n${fits}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal((await stage.submit("alice", "", fits)).status, 75);
    slow.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal((await stage.submit("alice", "", fits)).status, 0);
  });
});

test("who stalls is let go", async () => {
  await withSubmit({ config: { pauseSeconds: 0.2 } }, async (stage) => {
    const started = performance.now();
    const answer = await new Promise<string>((resolve, reject) => {
      let text = "";
      const socket = connect(stage.config.socket, () => socket.write("shoal-submit/v1\nlogin alice\ncommand 0\nFrom:"));
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on("end", () => socket.end());
      socket.on("close", () => resolve(text));
      socket.on("error", reject);
    });
    assert.match(answer, /exit 75\n$/);
    assert.ok(performance.now() - started < 2000);
    assert.equal(takenBy(stage), 0);
  });
});

test("a failure of ours is 75, says nothing of itself to the sender and nothing of the sender to the log", async () => {
  const grader = {
    grade: async () => {
      throw new TypeError("boom");
    },
  };
  await withSubmit({ grader }, async (stage) => {
    const answer = await stage.submit("alice", "send --json", MAIL);
    assert.equal(answer.status, 75);
    assert.equal(JSON.parse(answer.out[0] ?? "").message, "this machine has failed; nothing was sent");
    assert.match(stage.log.join("\n"), /boom/);
    assert.doesNotMatch(stage.log.join("\n"), /alice|bob/);
    assert.equal((await stage.submit("alice", "limits")).out[0], "messages 1000 of 1000");
  });
});
