import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as fc from "fast-check";
import { FormatError } from "#core/errors.ts";
import { HostileDns, record, replyTo, type Spoken, wireName } from "#test/grade-world/hostile-dns.ts";
import { type Lookup, Resolver } from "./dns.ts";
import { parseReply, printQuery, type RecordType } from "./dns-message.ts";

const server = await HostileDns.start();
after(() => server.stop());
const resolver = new Resolver({ address: "127.0.0.1", port: server.port, tryMilliseconds: 150, tries: 2 });
const never = new AbortController().signal;
const local = Buffer.from([192, 0, 2, 1]);

async function ask<Type extends RecordType>(type: Type, spoken: Spoken): Promise<Lookup<Type>> {
  server.answer((query) => [replyTo(query, spoken)]);
  return await resolver.lookup("a.example", type, never);
}

async function records<Type extends RecordType>(type: Type, ...list: Buffer[]) {
  const lookup = await ask(type, { records: list });
  return "records" in lookup ? lookup.records : lookup.detail;
}

test("the AD bit, and it alone, makes an answer secure", async () => {
  const one = { records: [record(1, local)] };
  for (const [flags, secure] of [
    [0x81a0, true],
    [0x8180, false],
    [0x8190, false],
    [0x85a0, true],
  ] as const) {
    const lookup = await ask("A", { ...one, flags });
    assert("secure" in lookup && lookup.secure === secure && lookup.outcome === "found");
  }
  const nothing = await ask("A", { flags: 0x81a3 });
  assert(nothing.outcome === "no-name" && nothing.secure);
  assert.equal((await ask("A", {})).outcome, "no-data");
});

test("a query asks for recursion and validation, with a random id", () => {
  const packet = printQuery({ id: 0x1234, name: "a.example", type: "TLSA" });
  assert.equal(
    packet.toString("hex"),
    "12340120000100000000000101610765786d616c6500".replace("6d616c65", "616d706c65") +
      "00340001" +
      "00002904d0000000000000",
  );
  for (const name of [
    "",
    "A.example",
    "a..b",
    "a.",
    `${"x".repeat(64)}.example`,
    Array.from({ length: 130 }, () => "a").join("."),
  ]) {
    assert.throws(() => printQuery({ id: 1, name, type: "A" }), { code: "DNS" });
  }
});

test("records are read exactly", async () => {
  assert.deepEqual(await records("A", record(1, local)), ["192.0.2.1"]);
  assert.deepEqual(await records("AAAA", record(28, Buffer.from(`20010db8${"00".repeat(11)}01`, "hex"))), [
    "2001:db8:0:0:0:0:0:1",
  ]);
  assert.deepEqual(await records("MX", record(15, Buffer.concat([Buffer.from([0, 10]), wireName("MX.Example")]))), [
    { preference: 10, exchange: "mx.example" },
  ]);
  assert.deepEqual(await records("MX", record(15, Buffer.from([0, 0, 0]))), [{ preference: 0, exchange: "" }]);
  assert.deepEqual(await records("TXT", record(16, Buffer.from("\x03v=S\x05TSv1;", "latin1"))), ["v=STSv1;"]);
  const tlsa = { usage: 3, selector: 1, matching: 1, data: Buffer.from("aabb", "hex") };
  assert.deepEqual(await records("TLSA", record(52, Buffer.from("030101aabb", "hex"))), [tlsa]);
  // A dot inside a label does not make two names alike.
  const dotted = Buffer.concat([Buffer.from([0, 1]), Buffer.from("\x04mx.a\x00", "latin1")]);
  assert.deepEqual(await records("MX", record(15, dotted)), [{ preference: 1, exchange: "mx\\046a" }]);
});

test("malformed records are refused", async () => {
  const bad: [RecordType, Buffer][] = [
    ["A", record(1, Buffer.alloc(3))],
    ["A", record(1, Buffer.alloc(16))],
    ["AAAA", record(28, Buffer.alloc(4))],
    ["A", record(1, local, { length: 400 })],
    ["MX", record(15, Buffer.from([0, 1]))],
    ["MX", record(15, Buffer.concat([Buffer.from([0, 1]), wireName("mx"), Buffer.from([9])]))],
    ["TXT", record(16, Buffer.from("\x05abc"))],
    ["TXT", record(16, Buffer.alloc(0))],
    ["TLSA", record(52, Buffer.from([3, 1, 1]))],
    // Compression: to itself, forwards, in a circle, past the end; and a label type that nobody uses.
    ["MX", record(15, Buffer.from([0, 1, 0xc0, 41]))],
    ["MX", record(15, Buffer.from([0, 1, 0xff, 0xff]))],
    ["MX", record(15, Buffer.from([0, 1, 1, 0x61, 0xc0, 41]))],
    ["MX", record(15, Buffer.from([0, 1, 0x41, 0x61, 0]))],
    ["A", record(1, local, { owner: Buffer.from([0xc0, 27]) })],
  ];
  for (const [type, one] of bad)
    assert.equal((await ask(type, { records: [one] })).outcome, "failed", one.toString("hex"));
  assert.equal((await ask("A", { count: 1 })).outcome, "failed");
  assert.equal((await ask("A", { count: 65_535, records: [record(1, local)] })).outcome, "failed");
});

test("what nobody asked for counts for nothing", async () => {
  const other = { owner: wireName("b.example") };
  assert.deepEqual(await records("A", record(1, local, other)), []);
  assert.deepEqual(await records("A", record(28, Buffer.alloc(16)), record(1, local), record(1, local, other)), [
    "192.0.2.1",
  ]);
  // Aliases: followed, in any order of records; not in a circle.
  const alias = record(5, wireName("b.example"));
  const followed = await ask("A", { records: [record(1, local, { ...other, ttl: 20 }), alias] });
  assert("records" in followed && followed.canonicalName === "b.example" && followed.ttlSeconds === 20);
  const circle = await ask("A", { records: [alias, record(5, wireName("a.example"), other)] });
  assert.equal(circle.outcome, "failed");
  for (const [ttl, seconds] of [
    [0xffff_ffff, 0],
    [0x7fff_ffff, 604_800],
    [0, 0],
  ] as const) {
    const lookup = await ask("A", { records: [record(1, local, { ttl })] });
    assert("ttlSeconds" in lookup && lookup.ttlSeconds === seconds);
  }
});

test("packets that answer something else are passed over", async () => {
  server.answer((query) => {
    const right = replyTo(query, { records: [record(1, local)] });
    const forged = replyTo(query, { records: [record(1, Buffer.from([6, 6, 6, 6]))] });
    const change = (offset: number, value: number): Buffer => {
      const packet = Buffer.from(forged);
      packet.writeUInt8(value, offset);
      return packet;
    };
    // Another id, name, type, class; a query; another opcode; no question; too short.
    const strays = [
      change(0, (forged[0] ?? 0) ^ 1),
      change(13, 0x62),
      change(24, 28),
      change(26, 3),
      change(2, 0x01),
      change(2, 0xa8),
      change(5, 0),
    ];
    return [...strays, Buffer.from([1, 2, 3]), Buffer.alloc(0), right];
  });
  const lookup = await resolver.lookup("a.example", "A", never);
  assert.deepEqual("records" in lookup && lookup.records, ["192.0.2.1"]);
  server.answer(() => Array.from({ length: 100 }, () => Buffer.alloc(12)));
  assert.equal((await resolver.lookup("a.example", "A", never)).outcome, "failed");
});

test("a truncated answer comes over TCP, and there whole or not at all", async () => {
  const many = Array.from({ length: 200 }, () => record(1, local));
  server.answer((query, transport) => [
    transport === "udp" ? replyTo(query, { flags: 0x83a0 }) : replyTo(query, { records: many }),
  ]);
  const lookup = await resolver.lookup("a.example", "A", never);
  assert.equal("records" in lookup && lookup.records.length, 200);
  server.answer((query) => [replyTo(query, { flags: 0x83a0 })]);
  assert.equal((await resolver.lookup("a.example", "A", never)).outcome, "failed");
  server.answer((query, transport) => (transport === "udp" ? [replyTo(query, { flags: 0x83a0 })] : []));
  assert.equal((await resolver.lookup("a.example", "A", never)).outcome, "failed");
});

test("failed validation is told from failure", async () => {
  // The third byte's lowest bits are the answer's; CD is 0x10 in the fourth.
  const isUnchecked = (query: Buffer): boolean => (query.readUInt8(3) & 0x10) !== 0;
  server.answer((query) => [replyTo(query, isUnchecked(query) ? { records: [record(1, local)] } : { flags: 0x8182 })]);
  assert.equal((await resolver.lookup("a.example", "A", never)).outcome, "bogus");
  server.answer((query) => [replyTo(query, { flags: 0x8182 })]);
  assert.equal((await resolver.lookup("a.example", "A", never)).outcome, "failed");
  server.answer((query) => [replyTo(query, { flags: 0x8185 })]);
  assert.equal((await resolver.lookup("a.example", "A", never)).outcome, "failed");
});

test("silence is asked twice, and ends", async () => {
  server.answer(() => []);
  const before = server.queries;
  const start = performance.now();
  assert.equal((await resolver.lookup("a.example", "A", never)).outcome, "failed");
  assert.equal(server.queries - before, 2);
  assert(performance.now() - start < 1000);
  assert.equal((await resolver.lookup("a.example", "A", AbortSignal.abort())).outcome, "failed");
  const nobody = new Resolver({ address: "127.0.0.1", port: 1, tryMilliseconds: 150, tries: 2 });
  assert.equal((await nobody.lookup("a.example", "A", never)).outcome, "failed");
});

test("no packet makes the parser fail in another way than it says", () => {
  const question = { id: 7, name: "a.example", type: "MX" } as const;
  const query = printQuery(question);
  const names = [wireName("a.example"), wireName("mx.a.example"), Buffer.from([0xc0, 12]), Buffer.from([0xc0, 29])];
  const anyRecord = fc
    .tuple(
      fc.constantFrom(1, 5, 15, 16, 52),
      fc.oneof(fc.uint8Array({ maxLength: 24 }), fc.constantFrom(...names)),
      fc.constantFrom(...names),
    )
    .map(([type, data, owner]) => record(type, Buffer.from(data), { owner }));
  const packet = fc
    .tuple(
      fc.array(anyRecord, { maxLength: 5 }),
      fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 3 }),
      fc.nat(200),
    )
    .map(([list, changes, length]) => {
      const reply = replyTo(query, { records: list });
      for (const [offset, value] of changes) if (offset < reply.length) reply[offset] = value;
      return reply.subarray(0, Math.max(length, 12));
    });
  fc.assert(
    fc.property(packet, (bytes) => {
      try {
        const reply = parseReply(bytes, question);
        assert(reply === null || reply.records.every(({ exchange }) => /^([a-z0-9_-]|\\\d{3}|\.)*$/.test(exchange)));
      } catch (error) {
        assert(error instanceof FormatError && error.code === "DNS", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
