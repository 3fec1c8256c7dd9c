import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { MAX_READING_SECONDS, readMailbox } from "./read.ts";

const PATHS = { head: "head", signers: "signers", entries: "entries", mail: "mail", del: "del" };

test("a server that lists names for ever, each after a while, is given up", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    let listed = 0;
    const sftp = {
      readFile: () => Promise.resolve(Buffer.alloc(0)),
      list: () => Promise.resolve([]),
      async *entries() {
        for (; listed <= MAX_READING_SECONDS; listed++) {
          await new Promise((done) => {
            setTimeout(done, 1000);
          });
          yield [{ name: String(listed), size: 1, mtimeSeconds: 0 }];
        }
      },
    };
    const reading = readMailbox(sftp, PATHS, () => Promise.resolve(null));
    const refused = assert.rejects(reading, { code: "TIMEOUT" });
    for (let second = 0; second < MAX_READING_SECONDS; second++) {
      await new Promise(setImmediate);
      mock.timers.tick(1000);
    }
    await refused;
    assert.ok(listed > MAX_READING_SECONDS / 2, `${listed} names`);
  } finally {
    mock.timers.reset();
  }
});

test("more records than devices leave are not read one by one", async () => {
  const read: string[] = [];
  const sftp = {
    readFile(path: string) {
      read.push(path);
      return Promise.resolve(Buffer.alloc(0));
    },
    list: () =>
      Promise.resolve(
        Array.from({ length: 10_001 }, (_, at) => ({ name: `0123456789abcdef-${at + 1}`, size: 1, mtimeSeconds: 0 })),
      ),
    async *entries() {},
  };
  await assert.rejects(
    readMailbox(sftp, PATHS, () => Promise.resolve(null)),
    { code: "TOO-LARGE" },
  );
  assert.deepEqual(read.sort(), ["entries", "head", "signers"]);
});
