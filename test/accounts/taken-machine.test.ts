/** What taken machines say to the ledger: it goes on, tells who lies, and keeps nobody else waiting. */

import assert from "node:assert/strict";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { after, before, test } from "node:test";
import {
  type AnswersFrame,
  type Frame,
  fromJudge,
  fromLedger,
  type LedgerFrame,
  printFrame,
} from "#core/account/feed.ts";
import { parseProposal } from "#core/account/step.ts";
import { FeedConnection } from "#host/feed-connection.ts";
import { hashOfSigned, lineOf, makeKey, Owner } from "#test/owner.ts";
import { Operator } from "./operator.ts";
import { DOMAIN, Programs, until } from "./programs.ts";

const now = Math.floor(Date.now() / 1000);
const operator = new Operator(DOMAIN, now);
const alice = new Owner(DOMAIN, now);
const bob = new Owner(DOMAIN, now);
/** `keys` and `in` are taken, `fetch` is not. */
const programs = new Programs(operator.id, ["keys", "in", "fetch"]);
const nothing: Frame[] = [{ kind: "have", account: null, version: 0, hash: null }, { kind: "ready" }];
const open: Server[] = [];

/** Takes the place of a machine's program. */
async function inPlace(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.on("close", () => {
    for (const socket of sockets) socket.destroy();
  });
  rmSync(path, { force: true });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o666);
  open.push(server);
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  server.emit("close");
  await new Promise((resolve) => setImmediate(resolve));
}

function feedOf(socket: Socket): FeedConnection<LedgerFrame> {
  return new FeedConnection({ readable: socket, writable: socket, destroy: () => socket.destroy() }, fromLedger());
}

const machine = async (name: string) => {
  return (await programs.status()).machines.find((one) => one.machine === `alpha-${name}`) ?? assert.fail();
};

/** Accepts a new version of alice and says how long it took until the honest machine had it. */
async function milliseconds(): Promise<number> {
  const device = makeKey();
  const began = performance.now();
  const signed = alice.advance({ devices: [{ auth: true, seal: true, key: lineOf(device) }] });
  assert.deepEqual(await programs.submit({ of: "state", signed }), ["ACCEPTED"]);
  await until(() => programs.read("fetch", "etc/ssh/authorized_keys/alice") === `restrict ${lineOf(device)}\n`);
  return performance.now() - began;
}

before(async () => {
  await Promise.all([programs.ledger.start(), programs.machines.get("fetch")?.start()]);
  const added = operator.add(
    new Map([
      ["alice", alice],
      ["bob", bob],
    ]),
  );
  await programs.submit({ of: "directory", signed: operator.first }, { of: "directory", signed: added });
  await programs.submit({ of: "state", signed: alice.genesis }, { of: "state", signed: bob.genesis });
  await until(async () => (await machine("fetch")).behind === 0);
});
after(async () => {
  for (const server of open) server.close();
  await programs.stop();
});

test("a machine that takes nothing is behind, and delays nobody", async () => {
  const server = await inPlace(programs.link("in"), (socket) => {
    socket.write(Buffer.concat([Buffer.from("shoal-feed/v1\n"), ...nothing.map(printFrame)]));
    socket.pause();
  });
  await until(async () => (await machine("in")).behind === 3);
  assert.ok((await milliseconds()) < 1500);
  await close(server);
});

test("a machine that hands in a flood of nonsense delays nobody", async () => {
  const bad = alice.propose({ version: 99 });
  const flood = Buffer.concat([
    ...Array.from({ length: 200 }, (_, number) =>
      printFrame({ kind: "proposal", number, name: "bob", signed: alice.genesis }),
    ),
    ...Array.from({ length: 200 }, (_, number) => printFrame({ kind: "proposal", number, name: "alice", signed: bad })),
  ]);
  let answers = 0;
  const server = await inPlace(programs.link("keys", "keys"), (socket) => {
    socket.write("shoal-feed/v1\n");
    const pour = (): void => {
      while (socket.writable && socket.write(flood));
    };
    socket.on("drain", pour);
    socket.on("data", (chunk: Buffer) => {
      answers += chunk.length;
    });
    pour();
  });
  await until(() => answers > 10_000);
  for (let time = 0; time < 3; time++) {
    const took = await milliseconds();
    assert.ok(took < 1500, `${took} ms`);
  }
  await close(server);
});

test("who has more, or something else, is told from who is behind; nothing is sent over it", async () => {
  const other = `${"A".repeat(43)}=`;
  const sent: LedgerFrame[] = [];
  const [first = alice, second = bob] = [alice, bob].sort((a, b) => (a.id < b.id ? -1 : 1));
  const server = await inPlace(programs.link("in"), (socket) => {
    const line = feedOf(socket);
    void (async () => {
      await line.send(
        { kind: "have", account: null, version: 2, hash: other },
        { kind: "have", account: first.id, version: first.standing.state.version + 5, hash: other },
        { kind: "have", account: second.id, version: 1, hash: other },
        { kind: "ready" },
      );
      for (let frames = await line.next(); frames !== null; frames = await line.next()) sent.push(...frames);
    })().catch(() => {});
  });
  await until(async () => (await machine("in")).connected);
  const { ahead, forked } = await machine("in");
  assert.deepEqual(ahead, [first.id]);
  assert.deepEqual(forked, ["directory", second.id]);
  await milliseconds();
  assert.deepEqual(sent, []);
  await close(server);
});

test("a ledger that was set back serves whom it has caught up with, and tells who has something else", async () => {
  const other = `${"A".repeat(43)}=`;
  for (const isSame of [true, false]) {
    const devices = [{ auth: true, seal: true, key: lineOf(makeKey()) }];
    const { version } = alice.standing.state;
    const hash = isSame ? hashOfSigned(alice.propose({ devices })) : other;
    const sent: number[] = [];
    await until(async () => !(await machine("in")).connected);
    const server = await inPlace(programs.link("in"), (socket) => {
      const line = feedOf(socket);
      void (async () => {
        await line.send(
          { kind: "have", account: null, version: 2, hash: other },
          { kind: "have", account: alice.id, version: version + 1, hash },
          { kind: "ready" },
        );
        for (let frames = await line.next(); frames !== null; frames = await line.next()) {
          const states = frames.flatMap((frame) => (frame.kind === "record" && frame.of === "state" ? [frame] : []));
          const all = states.map(({ signed }) => parseProposal(signed).state);
          sent.push(...all.filter(({ account }) => account === alice.id).map((state) => state.version));
        }
      })().catch(() => {});
    });
    await until(async () => (await machine("in")).connected);
    assert.deepEqual((await machine("in")).ahead, [alice.id]);
    assert.deepEqual(await programs.submit({ of: "state", signed: alice.advance({ devices }) }), ["ACCEPTED"]);
    assert.deepEqual((await machine("in")).ahead, []);
    assert.deepEqual((await machine("in")).forked, isSame ? ["directory"] : ["directory", alice.id]);
    await milliseconds();
    if (isSame) await until(() => sent.length > 0);
    assert.deepEqual(sent, isSame ? [version + 2] : []);
    await close(server);
  }
});

test("lies about what was taken end the connection", async () => {
  const lies: readonly (readonly Frame[])[] = [
    [{ kind: "took", account: null, version: 9 }],
    [{ kind: "took", account: alice.id, version: 1 }],
    [{ kind: "ready" }],
    Array.from({ length: 40 }, () => ({ kind: "alive" }) as const),
  ];
  let told = 0;
  let ended = 0;
  const server = await inPlace(programs.link("in"), (socket) => {
    const lie = lies[told++ % lies.length] ?? [];
    socket.write(Buffer.concat([Buffer.from("shoal-feed/v1\n"), ...[...nothing, ...lie].map(printFrame)]));
    socket.resume();
    socket.on("close", () => ended++);
  });
  await until(
    () => ended >= lies.length,
    () => `${ended} of ${told}`,
  );
  assert.ok((await milliseconds()) < 1500);
  await close(server);
});

test("a refusal is told in the status, and what comes behind it is sent again", async () => {
  let refuse = true;
  const server = await inPlace(programs.link("in"), (socket) => {
    const line = feedOf(socket);
    void (async () => {
      await line.send(...nothing);
      let version = 0;
      for (let frames = await line.next(); frames !== null; frames = await line.next()) {
        for (const frame of frames) {
          if (frame.kind !== "record") continue;
          const head = frame.signed.toString("latin1", 0, 200);
          const account = frame.of === "directory" ? null : (/^account (\S{2,})$/m.exec(head)?.[1] ?? "");
          version = Number(/^version ([0-9]+)$/m.exec(head)?.[1]);
          const of = account === "" ? (frame.signed.equals(bob.genesis) ? bob.id : alice.id) : account;
          if (refuse && of === alice.id)
            await line.send({ kind: "refused", account: of, version, code: "CLOCK", text: "\x1b[2J late" });
          else await line.send({ kind: "took", account: of, version });
        }
      }
    })().catch(() => {});
  });
  await until(async () => (await machine("in")).refused === 1);
  const { lastRefusal, behind } = await machine("in");
  assert.equal(behind, 1);
  assert.equal(lastRefusal?.account, alice.id);
  assert.equal(lastRefusal?.version, 1);
  assert.equal(lastRefusal?.text, "?[2J late");
  refuse = false;
  await milliseconds();
  await until(async () => (await machine("in")).behind === 0);
  await close(server);
});

test("answers go to the question that they are of", async () => {
  const answers: AnswersFrame[] = [];
  const server = await inPlace(programs.link("keys", "keys"), (socket) => {
    const line = new FeedConnection(
      { readable: socket, writable: socket, destroy: () => socket.destroy() },
      fromJudge(),
    );
    void (async () => {
      await line.send(
        { kind: "proposal", number: 7, name: "alice", signed: alice.genesis },
        { kind: "proposal", number: 5, name: "nobody-here", signed: alice.genesis },
        { kind: "proposal", number: 6, name: "bob", signed: bob.genesis },
      );
      for (let frames = await line.next(); frames !== null; frames = await line.next()) answers.push(...frames);
    })().catch(() => {});
  });
  await until(() => answers.length === 3);
  const said = answers.map((answer) =>
    answer.kind === "answer" ? `${answer.number} ${answer.code} ${answer.version}` : "",
  );
  assert.deepEqual(said, [`7 VERSION ${alice.standing.state.version}`, "5 ACCOUNT null", "6 ACCEPTED 1"]);
  await close(server);
});

test("a damaged store is not started from", async () => {
  await programs.ledger.kill();
  rmSync(programs.path("ledger", "accounts.db-wal"));
  writeFileSync(programs.path("ledger", "accounts.db"), "x".repeat(10_000));
  await programs.ledger.start(false);
  assert.equal(await programs.ledger.ended(), 65);
  assert.match(programs.ledger.log, /is damaged[^]*hint: /);
});
