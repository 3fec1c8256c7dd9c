import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { parseCorrespondent } from "#client/send/correspondent.ts";
import { printErrand } from "#client/send/hand-over.ts";
import { FormatError, PolicyError } from "#core/errors.ts";
import { type Notice, printNotice } from "#core/mail/notice.ts";
import { parseCommand } from "#core/mail/submission/command.ts";
import { exec } from "#host/exec.ts";
import { ACCEPTED, FakeOut } from "#test/fake-out.ts";
import type { Ran } from "#test/mail-user.ts";

let out: FakeOut;
before(async () => {
  out = await FakeOut.start();
});
after(() => out.stop());
beforeEach(async () => {
  await out.answer(ACCEPTED);
  await out.asked();
});

const LETTER = "From: alice@example.org\nTo: bob@example.net\nSubject: x\n\nHello\n";

async function outbox(): Promise<Record<string, unknown>[]> {
  const { stdout } = await out.shoal(["outbox", "list", "--json"]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function forgetAll(): Promise<void> {
  const numbers = (await outbox()).map(({ number }) => String(number));
  if (numbers.length > 0) assert.equal((await out.shoal(["outbox", "drop", ...numbers])).status, 0);
}

describe("a whole message", () => {
  test("goes as it is, byte for byte, and the server's words and status come back", async () => {
    const odd = `${LETTER}\n.\n..\nFrom me\n\u00e9\r\ntail without end`;
    const { status, stdout, stderr } = await out.shoal(["send"], odd);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^accepted: 1 recipient/);
    assert.deepEqual(await out.asked(), [{ command: "send", message: odd }]);
  });

  test("from a file, recipients and sender as arguments", async () => {
    const file = join(out.user.home, "letter.eml");
    await writeFile(file, LETTER);
    const { status, stderr } = await out.shoal([
      ...[
        "send",
        file,
        "--to",
        "o'brien@example.net",
        "--cc",
        "Carol <c@example.com>",
        "--bcc",
        "a{b}$c`|~!@example.net".replace("!", ""),
      ],
      ...["--from", "alice+x@example.org", "--json"],
    ]);
    assert.equal(status, 0, stderr);
    const [asked] = await out.asked();
    assert.equal(
      asked?.command,
      "send --json -f alice+x@example.org -- o'brien@example.net c@example.com a{b}$c`|~@example.net",
    );
    assert.equal(parseCommand(asked.command).verb, "send", "the server's own parser takes it");
  });

  for (const status of [65, 77]) {
    test(`refused with ${status}: nothing is kept`, async () => {
      await out.answer(`echo 'refused: \u001b[2Jno' >&2; echo 'hint: another way' >&2; exit ${status}`);
      const ran = await out.shoal(["send"], LETTER);
      assert.equal(ran.status, status);
      assert.equal(ran.stderr, "shoal: refused: \\x1b[2Jno\nshoal: hint: another way\n");
      assert.deepEqual(await outbox(), []);
    });
  }
});

test("hostile recipients are refused here, before anything is asked", async () => {
  const hostile = [
    "a b@example.net",
    "bob@example.net; rm -rf /",
    "$(id)@example.net",
    "bob@example.net\nsend-anyway",
    "bob@example.net\rx",
    "-oProxyCommand=x@example.net",
    "--json",
    '"bob"@example.net',
    "bob@example.net'",
    "a\\b@example.net",
    "|sh@example.net",
    "bob@[192.0.2.7]",
    "bob@example.net,carol@example.net",
    "<bob@example.net> <x@example.net>",
    "b\u00f6b@example.net",
    "",
  ];
  for (const address of hostile) {
    const isRefused = (error: unknown): boolean => error instanceof FormatError || error instanceof PolicyError;
    assert.throws(() => parseCorrespondent(address, "--to"), isRefused, address);
    for (const errand of [
      { verb: "send", envelopeFrom: null, recipients: [address] },
      { verb: "send", envelopeFrom: address, recipients: null },
    ] as const) {
      assert.throws(() => printErrand(errand, false, 0), isRefused, address);
    }
  }
  for (const args of [
    ["send", "--bcc=bob@example.net\nsend-anyway"],
    ["send", "--to=bob@example.net; id"],
    ["sendmail", "-i", "--", "-f", "bob@example.net"],
    ["sendmail", "-t", "-f", "alice@example.org -- eve@example.com"],
  ]) {
    const { status, stderr } = await out.shoal(args, LETTER);
    assert.ok(status === 67 || status === 64, `${status} ${stderr}`);
    assert.doesNotMatch(stderr, /\n {4}at /);
  }
  assert.deepEqual(await out.asked(), []);
  assert.deepEqual(await outbox(), []);
});

describe("the outbox", () => {
  beforeEach(forgetAll);

  test("keeps what a server that fails for now did not take, and sends it later with the same arguments", async () => {
    await out.answer("echo 'refused: the disk is full; nothing was sent' >&2; exit 75");
    const first = await out.shoal(
      ["send", "--to", "bob@example.net", "--anyway", "--from", "alice+a@example.org"],
      LETTER,
    );
    assert.equal(first.status, 75);
    assert.match(first.stderr, /kept in the outbox as number \d+/);
    const [asked] = await out.asked();
    const [entry] = await outbox();
    assert.equal(entry?.["state"], "waiting");
    const listed = await out.shoal(["outbox"]);
    assert.match(listed.stdout, /bob@example\.net +x\n +waits, and is sent by itself: refused: the disk is full/);

    await out.answer(ACCEPTED);
    const flushed = await out.shoal(["outbox", "flush"]);
    assert.equal(flushed.status, 0, flushed.stderr);
    assert.match(flushed.stderr, /sent \d+ to bob@example\.net "x"/);
    assert.deepEqual(await out.asked(), [asked]);
    assert.deepEqual(await outbox(), []);
  });

  test("the network is away: kept, once; sendmail takes it over with status 0; sync sends it in passing", async () => {
    const { port } = out.sshd;
    await out.user.writeProfile({ domain: "example.org", outHost: "127.0.0.1", outPort: 1 });
    const kept = await out.shoal(["send", "--json"], LETTER);
    assert.equal(kept.status, 75);
    assert.equal((JSON.parse(kept.stdout) as { result: string }).result, "kept");
    const mailed = await out.shoal(["sendmail", "-t", "-i"], LETTER);
    assert.equal(mailed.status, 0);
    assert.match(mailed.stderr, /refuses connections[\s\S]*kept in the outbox/);
    const flushed = await out.shoal(["outbox", "flush"]);
    assert.equal(flushed.status, 75);
    assert.equal((await outbox()).filter(({ state }) => state === "waiting").length, 2);
    assert.deepEqual(await out.asked(), []);

    await out.user.writeProfile({ domain: "example.org", outHost: "127.0.0.1", outPort: port });
    // This computer does not know the operator's key, so nothing is fetched; what waits goes out nevertheless.
    const synced = await out.shoal(["sync"]);
    assert.equal(synced.status, 78, synced.stderr);
    assert.equal([...synced.stderr.matchAll(/shoal: sent \d/g)].length, 2, synced.stderr);
    assert.equal((await out.asked()).length, 2);
    assert.deepEqual(await outbox(), []);
  });

  test("a connection that dies after the message: kept as one that may have been sent, and not sent again by itself", async () => {
    // The parent of the forced command is sshd's process for this very connection.
    await out.answer("kill -9 $PPID; sleep 0.2; exit 0");
    for (const args of [["send"], ["sendmail", "-t", "-i"]]) {
      const ran = await out.shoal(args, LETTER);
      assert.equal(ran.status, 75, ran.stderr);
      assert.match(ran.stderr, /it may have been sent, or not/);
    }
    assert.deepEqual(
      (await outbox()).map(({ state }) => state),
      ["unknown", "unknown"],
    );
    assert.equal((await out.asked()).length, 2);
    await out.answer(ACCEPTED);
    await out.shoal(["outbox", "flush"]);
    await out.shoal(["sync"]);
    assert.deepEqual(await out.asked(), [], "not by itself");
    const [first] = await outbox();
    assert.equal((await out.shoal(["outbox", "flush", String(first?.["number"])])).status, 0);
    assert.equal((await out.asked()).length, 1, "by its name");
    assert.equal((await outbox()).length, 1);
  });

  test("ended while it sends: what is found later may have been sent", async () => {
    await out.answer("echo 'refused: not now' >&2; exit 75");
    await out.shoal(["send"], LETTER);
    await out.asked();
    await out.answer("sleep 5");
    const flushing = out.user.start(["outbox", "flush"], { TMPDIR: out.user.home });
    while ((await out.asked().catch(() => [])).length === 0) await new Promise((done) => setTimeout(done, 50));
    flushing.kill();
    await flushing.done;
    await out.answer(ACCEPTED);
    await out.shoal(["sync"]);
    const entries = await outbox();
    assert.deepEqual(
      entries.map(({ state, said }) => [state, said]),
      [["unknown", "this program was ended while it was sending"]],
    );
    assert.deepEqual(await out.asked(), []);
  });

  test("accepted for some: only the others are tried again, and who perhaps has it only by a person's word", async () => {
    await out.answer(
      "echo 'accepted for: a@example.net'; echo 'perhaps sent to: b@example.net'; echo 'not sent to: c@example.net d@example.net'; echo 'refused: smtpd died' >&2; exit 75",
    );
    const ran = await out.shoal(["send"], LETTER);
    assert.equal(ran.status, 75);
    assert.deepEqual(
      (await outbox()).map(({ state, recipients }) => [state, recipients]),
      [
        ["waiting", ["c@example.net", "d@example.net"]],
        ["unknown", ["b@example.net"]],
      ],
    );
    await out.asked();
    await out.answer(ACCEPTED);
    await out.shoal(["outbox", "flush"]);
    assert.deepEqual(
      (await out.asked()).map(({ command }) => command),
      ["send -- c@example.net d@example.net"],
    );
  });

  test("0 without the word, and 75 that may have left, are not sent again by itself", async () => {
    for (const answer of [
      "exit 0",
      "echo 'refused: if it was being sent, it may have left: try again later' >&2; exit 75",
    ]) {
      await out.answer(answer);
      assert.equal((await out.shoal(["send"], LETTER)).status, 75);
    }
    assert.deepEqual(
      (await outbox()).map(({ state }) => state),
      ["unknown", "unknown"],
    );
  });

  test("a changed host key is told at once and nothing is kept or sent", async () => {
    const known = join(out.user.home, "other_hosts");
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(out.user.home, "other")]);
    const key = await readFile(join(out.user.home, "other.pub"), "utf8");
    await writeFile(known, `[127.0.0.1]:${out.sshd.port} ${key}`);
    const profile = { domain: "example.org", outHost: "127.0.0.1", outPort: out.sshd.port };
    await out.user.writeProfile({ ...profile, knownHosts: known });
    const ran = await out.shoal(["send"], LETTER);
    await out.user.writeProfile(profile);
    assert.equal(ran.status, 65);
    assert.match(ran.stderr, /the host key of "127\.0\.0\.1" port \d+ has changed/);
    assert.deepEqual(await outbox(), []);
    assert.deepEqual(await out.asked(), []);
  });

  test("who is not let in is told why, by what is known of the account", async () => {
    const other = join(out.user.home, "stranger");
    await exec("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    const profile = { domain: "example.org", outHost: "127.0.0.1", outPort: out.sshd.port };
    try {
      await out.user.writeProfile({ ...profile, identities: [other] });
      for (const args of [["send"], ["sendmail", "-t"], ["check", "bob@example.net"]]) {
        const ran = await out.shoal(args, LETTER);
        assert.equal(ran.status, 75);
        assert.match(ran.stderr, /refused the login.*\n.*hint: this computer is no device of the account yet/);
      }
      // No agent has it: the account is not the reason.
      await out.user.writeProfile({ ...profile, identities: [`${out.sshd.identityFile}.pub`] });
      const ran = await out.shoal(["send"], LETTER);
      assert.equal(ran.status, 75);
      assert.match(ran.stderr, /no ssh-agent has the key.*\n.*hint: .*ssh-add/);
    } finally {
      await out.user.writeProfile(profile);
    }
    assert.deepEqual(await outbox(), []);
  });

  test("numbers are given once, files are private, and show gives the bytes", async () => {
    await out.answer("echo 'refused: not now' >&2; exit 75");
    await out.shoal(["send"], LETTER);
    const [first] = await outbox();
    await out.shoal(["outbox", "drop", String(first?.["number"])]);
    await out.shoal(["send"], `${LETTER}second`);
    const [second] = await outbox();
    assert.equal(second?.["number"], Number(first?.["number"]) + 1);
    const shown = await out.shoal(["outbox", "show", String(second["number"])]);
    assert.equal(shown.stdout, `${LETTER}second`);
    const folder = join(out.user.home, "state/shoal/default/outbox");
    const { stdout } = await exec("find", [folder, "-perm", "/077"]);
    assert.equal(stdout.toString(), "");
  });

  test("two at once keep both", async () => {
    await out.answer("echo 'refused: not now' >&2; exit 75");
    await Promise.all([1, 2, 3].map((n) => out.shoal(["send"], `${LETTER}${n}`)));
    assert.equal((await outbox()).length, 3);
  });
});

describe("unprotected ways", () => {
  beforeEach(forgetAll);
  const NONE = `case $SSH_ORIGINAL_COMMAND in
send-anyway*) ${ACCEPTED}; exit 0 ;;
*--json*) echo '{"result":"refused","status":75,"code":"UNPROTECTED","line":null,"message":"no","hint":null,"domains":[{"domain":"example.edu","grade":"none","by":null,"reason":"certificate-expired","server":"mx.example.edu"}]}'; exit 75 ;;
*) echo 'tls bound example.org dane mx.example.org'
echo 'tls-problem example.edu certificate-expired mx.example.edu'
echo 'tls-problem example.com no-such-domain -'
echo 'refused: the way to example.edu, example.com is not protected; nothing was sent' >&2; exit 75 ;;
esac`;

  test("without a terminal: 75, each domain in words, nothing sent and nothing kept", async () => {
    await out.answer(NONE);
    for (const args of [["send"], ["send", "--strict"], ["sendmail", "-t", "-i"]]) {
      const ran = await out.shoal(args, LETTER);
      assert.equal(ran.status, 75);
      assert.match(
        ran.stderr,
        /example\.edu: the certificate of its mail server is over its time \(certificate-expired, mx\.example\.edu\)/,
      );
      assert.match(ran.stderr, /example\.com: there is no such domain/);
    }
    const json = await out.shoal(["send", "--json"], LETTER);
    assert.equal((JSON.parse(json.stdout) as { code: string }).code, "UNPROTECTED");
    assert.equal(json.status, 75);
    assert.ok((await out.asked()).every(({ command }) => !command.includes("anyway")));
    assert.deepEqual(await outbox(), []);
  });

  test("a domain that does not exist is not sent to knowingly: nobody is told how, or asked", async () => {
    await out.answer(`echo 'tls-problem example.com no-such-domain -'
echo 'refused: the way to example.com is not protected; nothing was sent' >&2; exit 75`);
    for (const args of [["send"], ["sendmail", "-t", "-i"]]) {
      const ran = await out.shoal(args, LETTER);
      assert.equal(ran.status, 75);
      assert.match(ran.stderr, /example\.com: there is no such domain.*\nshoal: nothing was sent\n$/);
    }
    const file = join(out.user.home, "letter.eml");
    await writeFile(file, LETTER);
    const { status, shown } = await onTerminal(`'${process.execPath}' '${main}' send ${file}`, "y");
    assert.equal(status, 75);
    assert.doesNotMatch(shown, /anyway/i);
  });

  test("--anyway sends knowingly", async () => {
    await out.answer(NONE);
    assert.equal((await out.shoal(["send", "--anyway"], LETTER)).status, 0);
    assert.equal((await out.shoal(["sendmail", "--anyway", "-t", "-i"], LETTER)).status, 0);
    assert.deepEqual(
      (await out.asked()).map(({ command }) => command),
      ["send-anyway", "send-anyway"],
    );
  });

  /** `shoal send` on a terminal made by script(1), the message in a file or on standard input. */
  async function onTerminal(command: string, typed: string): Promise<{ status: number; shown: string }> {
    const log = join(out.user.home, "shown");
    const { stdout } = await exec(
      "python3",
      [
        "-c",
        `
import os, pty, sys, select, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
shown = b""
answered = False
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data: break
    shown += data
    if b"[y/N] " in shown and not answered:
        answered = True
        os.write(fd, sys.argv[2].encode() + b"\\n")
_, status = os.waitpid(pid, 0)
open(sys.argv[3], "wb").write(shown)
print(os.waitstatus_to_exitcode(status))
`,
        command,
        typed,
        log,
      ],
      { env: out.user.env, timeoutSeconds: 30 },
    );
    return { status: Number(stdout.toString()), shown: await readFile(log, "utf8") };
  }

  const main = new URL("../../src/client/main.ts", import.meta.url).pathname;

  test("on a terminal it is explained and asked; only yes sends", async () => {
    await out.answer(NONE);
    const file = join(out.user.home, "letter.eml");
    await writeFile(file, LETTER);
    for (const [typed, source, status, verbs] of [
      ["y", `send ${file}`, 0, ["send", "send-anyway"]],
      ["yes", `send < ${file}`, 0, ["send", "send-anyway"]],
      ["n", `send ${file}`, 75, ["send"]],
      ["", `send ${file}`, 75, ["send"]],
      ["yeah", `send ${file}`, 75, ["send"]],
      ["-", `send --strict ${file}`, 75, ["send"]],
    ] as const) {
      const ran = await onTerminal(`'${process.execPath}' '${main}' ${source}`, typed);
      assert.equal(ran.status, status, ran.shown);
      assert.match(ran.shown, /example\.edu: the certificate of its mail server is over its time/);
      assert.equal(ran.shown.includes("[y/N]"), !source.includes("--strict"));
      assert.deepEqual(
        (await out.asked()).map(({ command }) => command.split(" ")[0]),
        verbs,
        typed,
      );
    }
    assert.deepEqual(await outbox(), []);
  });

  test("found when the outbox is sent: it stays, and is asked about by plain send only", async () => {
    await out.answer("echo 'refused: not now' >&2; exit 75");
    await out.shoal(["send"], LETTER);
    await out.answer(NONE);
    assert.equal((await out.shoal(["outbox", "flush"])).status, 75);
    const [entry] = await outbox();
    assert.equal(entry?.["state"], "asks");
    const synced = await out.shoal(["sync"]);
    assert.match(synced.stderr, /1 in the outbox, 1 of them for you to decide on/);
    assert.ok((await out.asked()).every(({ command }) => command === "send"));
    assert.equal((await out.shoal(["outbox", "flush", "--anyway"])).status, 0);
    assert.equal((await out.asked()).at(-1)?.command, "send-anyway");
  });

  test("check asks for grades alone", async () => {
    await out.answer(
      "echo 'tls valid example.net - mx.example.net'; echo 'tls-problem example.edu null-mx -'; exit 75",
    );
    const ran = await out.shoal(["check", "bob@example.net", "eve@example.edu"]);
    assert.equal(ran.status, 75);
    assert.equal(ran.stdout, "tls valid example.net - mx.example.net\ntls-problem example.edu null-mx -\n");
    assert.match(ran.stderr, /example\.edu: the domain says that it takes no mail/);
    assert.deepEqual(await out.asked(), [{ command: "check bob@example.net eve@example.edu", message: "" }]);
    assert.equal((await out.shoal(["check", "a b@example.net"])).status, 67);
  });
});

describe("a notice", () => {
  const text = (changes: Partial<Notice> = {}): string =>
    printNotice({
      hostname: "out.mail.example.org",
      to: "alice@example.org",
      date: "Sun, 22 Nov 2026 08:00:00 +0000",
      id: "0123456789abcdef0123456789abcdef",
      subject: "Not delivered: bob@example.net",
      text: "Your mail did not reach these 2 recipients.\n",
      recipients: ["bob@example.net", "o'brien@example.com"].map((address) => ({
        address,
        action: "failed",
        status: "5.1.1",
        cause: "no-such-user",
        said: "550 5.1.1 no",
      })),
      original: Buffer.from(
        `Received: by x;\r\n\ty\r\nDKIM-Signature: v=1;\r\n b=x\r\n${LETTER.replaceAll("\n", "\r\n")}`,
      ),
      isWhole: true,
      ...changes,
    })
      .toString("latin1")
      .replaceAll("\r\n", "\n");
  const stored = (notice: string): string =>
    `Shoal-Length: 1\nReturn-Path: <>\nReceived: from a (b [c])\n\tby d;\n\te\n${notice}`;

  async function again(notice: string, ...more: string[]): Promise<Ran> {
    const file = join(out.user.home, "notice");
    await writeFile(file, notice);
    return await out.shoal(["send", "--again", file, ...more]);
  }

  test("is sent again to just whom it is about, without what machines wrote", async () => {
    for (const [notice, more, verb] of [
      [stored(text()), [], "send"],
      [text(), ["--anyway"], "send-anyway"],
    ] as const) {
      const { status, stderr } = await again(notice, ...more);
      assert.equal(status, 0, stderr);
      const command = `${verb} -- bob@example.net o'brien@example.com`;
      assert.deepEqual(await out.asked(), [{ command, message: LETTER }]);
    }
  });

  test("that is none, that is still being tried, or that holds no mail is refused, and nothing is asked", async () => {
    const tried = text().replaceAll("Action: failed", "Action: delayed");
    for (const [notice, status, words] of [
      [LETTER, 65, /no notice/],
      ["", 65, /no notice/],
      [tried, 64, /still being tried/],
      [text({ isWhole: false }), 64, /does not hold the whole mail/],
      [text().replace("bob@example.net\nAction", "|sh@example.net\nAction"), 67, /./],
      [text().replace("bob@example.net\nAction", "--json\nAction"), 67, /./],
    ] as const) {
      const ran = await again(notice);
      assert.equal(ran.status, status, ran.stderr);
      assert.match(ran.stderr, words);
    }
    for (const more of [
      ["--to", "eve@example.com"],
      ["letter.eml"],
      ["--from", "alice+x@example.org"],
      ["--body", "x"],
    ]) {
      const ran = await again(text(), ...more);
      assert.equal(ran.status, 64, more.join(" "));
    }
    assert.equal((await out.shoal(["send", "--again", join(out.user.home, "nothing")])).status, 64);
    assert.deepEqual(await out.asked(), []);
    assert.deepEqual(await outbox(), []);
  });
});
