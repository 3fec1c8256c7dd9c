import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { Accounts } from "#core/account/accounts.ts";
import { AccountStore, type StoredRecord } from "./account-store.ts";

const folder = mkdtempSync(join(tmpdir(), "shoal-store-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const fresh = (): string => join(folder, `${files++}.db`);
const record = (account: string | null, version: number, text = "x"): StoredRecord => ({
  account,
  version,
  accepted: 100 + version,
  signed: Buffer.from(text),
});
const B = "BBBBBBBBBBBBBBBBBBBBBA";
const C = "CCCCCCCCCCCCCCCCCCCCCA";

test("gives back what it was given, the directory first", () => {
  const path = fresh();
  const store = AccountStore.open(path);
  store.append([record(C, 1), record(B, 1, "\xff"), record(null, 1)]);
  store.append([record(B, 2), record(null, 2)]);
  store.close();
  const again = AccountStore.open(path);
  const expected = [record(null, 1), record(null, 2), record(B, 1, "\xff"), record(B, 2), record(C, 1)];
  assert.deepEqual([...again.records()], expected);
  assert.deepEqual(again.versions(B, 2), [record(B, 2)]);
  assert.deepEqual(again.versions(null), [record(null, 1), record(null, 2)]);
  again.removeAccount(B);
  assert.deepEqual(again.versions(B), []);
  assert.equal([...again.records()].length, 3);
  again.close();
});

test("appends all records or none", () => {
  const store = AccountStore.open(fresh());
  store.append([record(B, 1)]);
  assert.throws(() => store.append([record(B, 2), record(C, 1), record(B, 1, "another")]), { code: "DISK" });
  assert.deepEqual([...store.records()], [record(B, 1)]);
  store.append([record(B, 2)], [C]);
  store.append([record(null, 1)], [B]);
  assert.deepEqual([...store.records()], [record(null, 1)]);
  store.close();
});

test("what was appended is there for another process at once, and nobody writes through a reader", () => {
  const path = fresh();
  const store = AccountStore.open(path);
  store.append([record(B, 1)]);
  const reader = AccountStore.open(path, { readOnly: true });
  store.append([record(B, 2)]);
  assert.equal(reader.versions(B).length, 2);
  assert.throws(() => reader.append([record(B, 3)]), { code: "DISK" });
  reader.close();
  store.close();
});

test("damaged and foreign files are named", () => {
  const text = fresh();
  writeFileSync(text, "this is no database, and long enough to be looked at as one".repeat(40));
  assert.throws(() => AccountStore.open(text), { code: "STORE" });

  const foreign = fresh();
  const other = new DatabaseSync(foreign);
  other.exec("CREATE TABLE records (a TEXT)");
  other.close();
  assert.throws(() => AccountStore.open(foreign), { code: "STORE" });

  const torn = fresh();
  const store = AccountStore.open(torn);
  store.append(Array.from({ length: 200 }, (_, index) => record(B, index + 1, "y".repeat(2000))));
  store.close();
  const bytes = readFileSync(torn);
  bytes.fill(0x5a, 8192, 40_960);
  writeFileSync(torn, bytes);
  assert.throws(() => AccountStore.open(torn), { code: "STORE" });

  assert.throws(() => AccountStore.open(join(folder, "missing", "a.db")), { code: "FILE" });
  assert.throws(() => AccountStore.open(fresh(), { readOnly: true }), { code: "FILE" });
});

test("a record that does not verify is named", () => {
  const store = AccountStore.open(fresh());
  store.append([record(null, 1, "nonsense\n")]);
  assert.throws(() => store.loadInto(new Accounts("example.org", B)), {
    code: "STORE",
    message: /version 1 of the directory/,
  });
  store.close();
});
