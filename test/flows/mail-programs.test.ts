/** People who set up their mail programs by docs/use.md, and write a mail with each, at a terminal. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { until } from "#test/until.ts";
import { asPerson } from "#test/world/stage.ts";
import { root } from "#tools/build.ts";
import { flowStage } from "./flow-stage.ts";
import { type Delivered, receivedBy } from "./mail-flow.ts";

const stage = flowStage({
  changes: [["  ledger: 1\n", "  ledger: 1\n  out: 1\n"]],
  userPackages: ["mail-programs"],
});

let page = "";
before(async () => {
  page = await readFile(join(root, "docs/use.md"), "utf8");
});

/** What alice has her page write into a file or a shell: the block of code behind a line that begins so. */
function block(beginning: string): string {
  const at = page.indexOf(`\n${beginning}`);
  const found = /```\n([^]*?\n)```/.exec(page.slice(at))?.[1];
  assert.ok(at > 0 && found !== undefined, `docs/use.md has no block behind "${beginning}"`);
  return found
    .replaceAll("alice@example.org", "alice@shoal.example")
    .replaceAll("HOME/.local/bin", "/usr/local/bin")
    .replaceAll("~/.local/bin/shoal", "/usr/local/bin/shoal");
}

async function write(file: string, text: string): Promise<void> {
  const script = asPerson("alice", `mkdir -p "$(dirname ${file})" && cat > ${file} && chmod 600 ${file}`);
  const { status, stderr } = await stage().exec("user", script, { input: text });
  assert.equal(status, 0, stderr);
}

/** A terminal with a program in it, and a person who waits until it shows what they expect before they type on. */
class Terminal {
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
  }

  static async open(name: string, command: string): Promise<Terminal> {
    const settings = "TERM=xterm-256color LANG=C.UTF-8 EDITOR=vi";
    await stage().as("alice", `env ${settings} tmux new-session -d -s ${name} -x 110 -y 40 '${command}'`);
    return new Terminal(name);
  }

  async shows(text: string | RegExp): Promise<string> {
    let screen = "";
    const isThere = async (): Promise<boolean> => {
      screen = await stage().as("alice", `tmux capture-pane -p -t ${this.#name}`);
      return typeof text === "string" ? screen.includes(text) : text.test(screen);
    };
    await until(`"${text}" on the screen of ${this.#name}`, isThere).catch((error: unknown) => {
      throw new Error(`the screen shows:\n${screen}`, { cause: error });
    });
    return screen;
  }

  /** Keys as tmux names them; text is typed. */
  async types(...keys: readonly string[]): Promise<void> {
    const quoted = keys.map((key) => `'${key}'`).join(" ");
    await stage().as("alice", `tmux send-keys -t ${this.#name} ${quoted}`);
  }

  async ended(): Promise<void> {
    const { exec } = stage();
    const isGone = async (): Promise<boolean> =>
      (await exec("user", asPerson("alice", `tmux has-session -t ${this.#name} 2>/dev/null`))).status !== 0;
    await until(`the end of ${this.#name}`, isGone);
  }
}

/** Syncs until it is there: machine `out` may have it still. */
async function received(person: string, subject: string): Promise<string> {
  let mails: Delivered[] = [];
  await until(`"${subject}"`, async () => {
    mails = (await receivedBy(stage(), person)).filter(({ bytes }) => bytes.includes(`Subject: ${subject}\n`));
    return mails.length > 0;
  });
  assert.equal(mails.length, 1, "it came once");
  return mails[0]?.bytes.toString("latin1") ?? "";
}

test("neomutt", async () => {
  await stage().as("alice", "shoal sync");
  await write(".config/neomutt/neomuttrc", block("neomutt and mutt, in"));
  const terminal = await Terminal.open("neomutt", "neomutt -f ~/Mail/shoal");
  await terminal.shows("Msgs:0");
  await terminal.types("m");
  await terminal.shows("To:");
  await terminal.types("bob@shoal.example", "Enter");
  await terminal.shows("Subject:");
  await terminal.types("by neomutt", "Enter");
  await terminal.shows("~\n~\n");
  await terminal.types("i", "written in neomutt", "Escape", ":wq", "Enter");
  await terminal.shows("y:Send");
  await terminal.types("y");
  await terminal.shows("Mail sent");
  await terminal.types("q");
  await terminal.ended();
  const mail = await received("bob", "by neomutt");
  assert.match(mail, /^From: Alice <alice@shoal\.example>$/m);
  assert.ok(mail.includes("written in neomutt"));
  assert.ok(!/laptop|mutt\/|User-Agent|1001/i.test(mail.replace("by neomutt", "").replace("in neomutt", "")), mail);
});

test("neomutt keeps the draft of mail that would travel unprotected, and shows why", async () => {
  const terminal = await Terminal.open("refused", "neomutt -f ~/Mail/shoal");
  await terminal.shows("Msgs:0");
  await terminal.types("m");
  await terminal.shows("To:");
  await terminal.types("carol@post.example", "Enter");
  await terminal.shows("Subject:");
  await terminal.types("not to leave", "Enter");
  await terminal.shows("~\n~\n");
  await terminal.types("i", "secret", "Escape", ":wq", "Enter");
  await terminal.shows("y:Send");
  await terminal.types("y");
  await terminal.shows(/post\.example: .*certificate/);
  await terminal.types("q");
  await terminal.shows("y:Send");
  await terminal.types("q");
  await terminal.shows(/[Pp]ostpone/);
  await terminal.types("n", "q");
  await terminal.ended();
});

test("aerc", async () => {
  await write(".config/aerc/accounts.conf", block("aerc, in"));
  const terminal = await Terminal.open("aerc", "aerc");
  await terminal.shows(/shoal\s+│/);
  await terminal.types("m");
  await terminal.shows("New Email");
  await terminal.types("bob@shoal.example", "Tab", "by aerc", "Tab");
  await terminal.shows("~\n~\n");
  await terminal.types("i", "written in aerc", "Escape", ":wq", "Enter");
  await terminal.shows("Send this email?");
  await terminal.types("y");
  await terminal.shows(/[Mm]essage sent/);
  await terminal.types(":quit", "Enter");
  await terminal.ended();
  const mail = await received("bob", "by aerc");
  assert.match(mail, /^From: "Alice" <alice@shoal\.example>$/m);
  assert.ok(!/laptop|aerc\//.test(mail), mail);
});

test("git send-email", async () => {
  await stage().as("alice", block("git, with git 2.33"));
  await stage().as(
    "alice",
    `git config --global user.name Alice && git config --global user.email alice@shoal.example && git init -q work &&
     cd work && echo one > file && git add file && git commit -qm "by git"`,
  );
  const terminal = await Terminal.open("git", "cd work && git send-email --to bob@shoal.example -1; read answer");
  await terminal.shows("Send this email?");
  await terminal.types("y", "Enter");
  await terminal.shows("Result: OK");
  await terminal.types("Enter");
  await terminal.ended();
  const mail = await received("bob", "[PATCH] by git");
  assert.match(mail, /^From: Alice <alice@shoal\.example>$/m);
  assert.match(mail, /^\+one$/m);
  assert.ok(!/laptop|git-send-email/.test(mail), mail);
  // It is still a patch that git applies.
  await stage().as("bob", "git config --global user.name Bob && git config --global user.email bob@shoal.example");
  const patch = mail.slice(mail.indexOf("\nFrom: ") + 1);
  await stage().as("bob", "git init -q there && cd there && git am", { input: patch });
});

test("a script that calls sendmail", async () => {
  await stage().as("alice", "mkdir -p .local/bin && ln -s /usr/local/bin/shoal .local/bin/sendmail");
  const said = `printf 'To: bob@shoal.example\\nSubject: by a script\\n\\nHello\\n' | .local/bin/sendmail -t -i`;
  await stage().as("alice", said);
  assert.match(await received("bob", "by a script"), /^From: alice@shoal\.example$/m);
});

test("what came is read in neomutt and aerc", async () => {
  await stage().as("bob", "shoal send --to alice@shoal.example --subject 'read me' --body 'from bob'");
  await received("alice", "read me");
  const neomutt = await Terminal.open("reading", "neomutt -f ~/Mail/shoal");
  await neomutt.shows("read me");
  await neomutt.types("/", "read me", "Enter", "Enter");
  await neomutt.shows("from bob");
  await neomutt.types("q", "q");
  const aerc = await Terminal.open("reading-aerc", "aerc");
  await aerc.shows("read me");
  await aerc.types(":quit", "Enter");
  await aerc.ended();
});
