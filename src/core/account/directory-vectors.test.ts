/** Directory records against their vectors, and ssh-keygen on those that are accepted. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FormatError, PolicyError, VerifyError } from "#core/errors.ts";
import { parseSignature } from "#core/ssh/signature.ts";
import { vectors } from "#test/vectors/directory/make.ts";
import { type Accepted, parseChain } from "./chain.ts";
import { Directory, directoryNamespace, MAX_DIRECTORY_BYTES } from "./directory.ts";
import { splitSigned } from "./signed-text.ts";

const VECTORS = join(import.meta.dirname, "../../../test/vectors/directory");

const CLASSES = {
  FormatError: ["DIRECTORY", "KEY", "SIGNED", "SSHSIG"],
  VerifyError: ["ACCOUNT", "DOMAIN", "NAMESPACE", "PREV", "SIGNATURE", "TIME", "TOUCH", "VERSION"],
  PolicyError: [
    ...["ACCOUNT-TAKEN", "NAME", "NAME-TAKEN", "NAME-UNKNOWN", "STATUS"],
    ...["POSSESSION", "SIGNER", "SIGNER-TWICE", "UNAUTHORIZED"],
  ],
};

interface Vector {
  readonly name: string;
  readonly expected: string;
  readonly domain: string;
  readonly directory: string;
  readonly earlier: readonly Accepted[];
  readonly last: Accepted;
}

function readVector(folder: "accept" | "reject", name: string): Vector {
  const text = readFileSync(join(VECTORS, folder, name), "latin1");
  const head = /^expect ([A-Z-]+)\ndomain (\S+)\ndirectory (\S+)\n/.exec(text);
  const last = [...text.matchAll(/^accepted (\d+)\n/gm)].at(-1);
  assert.ok(head !== null && last !== undefined, name);
  return {
    name,
    expected: head[1] ?? "",
    domain: head[2] ?? "",
    directory: head[3] ?? "",
    earlier: parseChain(Buffer.from(text.slice(head[0].length, last.index), "latin1")),
    last: { accepted: Number(last[1]), signed: Buffer.from(text.slice(last.index + last[0].length), "latin1") },
  };
}

/** Everything that a directory says. */
function contentsOf({ latest, entries }: Directory): unknown {
  return structuredClone({ latest, entries: [...entries] });
}

function outcomeOf(vector: Vector): { class: string; code: string } {
  const directory = new Directory(vector.domain, vector.directory);
  for (const { accepted, signed } of vector.earlier) {
    directory.take(splitSigned(signed, MAX_DIRECTORY_BYTES), accepted);
  }
  const before = contentsOf(directory);
  try {
    directory.take(splitSigned(vector.last.signed, MAX_DIRECTORY_BYTES), vector.last.accepted);
    return { class: "", code: "ACCEPTED" };
  } catch (error) {
    assert.deepEqual(contentsOf(directory), before, `${vector.name}: a refused record changes nothing`);
    if (error instanceof FormatError || error instanceof VerifyError || error instanceof PolicyError) {
      return { class: error.name, code: error.code };
    }
    throw error;
  }
}

const accepted = readdirSync(join(VECTORS, "accept")).map((name) => readVector("accept", name));
const refused = readdirSync(join(VECTORS, "reject")).map((name) => readVector("reject", name));

test("accept vectors are accepted", () => {
  for (const vector of accepted) assert.deepEqual(outcomeOf(vector), { class: "", code: "ACCEPTED" }, vector.name);
  assert.ok(accepted.length >= 20);
});

test("reject vectors are refused with their codes and change nothing", () => {
  for (const vector of refused) {
    const [name] = Object.entries(CLASSES).find(([, codes]) => codes.includes(vector.expected)) ?? [];
    assert.ok(name !== undefined, vector.name);
    assert.deepEqual(outcomeOf(vector), { class: name, code: vector.expected }, vector.name);
  }
  assert.ok(refused.length >= 100);
});

test("every code has a vector, but for those of sizes that would fill a file", () => {
  const seen = new Set(refused.map(({ expected }) => expected));
  assert.deepEqual([...seen].toSorted(), Object.values(CLASSES).flat().toSorted());
});

test("vectors are what their generator makes", () => {
  const committed = new Map(
    ["accept", "reject"].flatMap((folder) =>
      readdirSync(join(VECTORS, folder)).map((name) => {
        const path = `${folder}/${name}`;
        return [path, readFileSync(join(VECTORS, path), "latin1")] as const;
      }),
    ),
  );
  const made = vectors();
  assert.deepEqual([...committed.keys()].toSorted(), [...made.keys()].toSorted());
  for (const [path, text] of made) assert.equal(committed.get(path), text, path);
});

describe("ssh-keygen", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "shoal-directory-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  test("accepts each signature of each accepted record", () => {
    let count = 0;
    for (const { name, domain, last } of accepted) {
      const { body, signatures } = splitSigned(last.signed, MAX_DIRECTORY_BYTES);
      for (const armored of signatures) {
        const [signature, signers] = [join(folder, "signature"), join(folder, "signers")];
        writeFileSync(signature, armored);
        writeFileSync(signers, `operator ${parseSignature(armored).publicKey.line}\n`);
        const args = [
          "-Y",
          "verify",
          "-f",
          signers,
          "-I",
          "operator",
          "-n",
          directoryNamespace(domain),
          "-s",
          signature,
        ];
        const output = execFileSync("ssh-keygen", args, { input: body, encoding: "utf8" });
        assert.match(output, /^Good "account-directory\.v1@/, name);
        count++;
      }
    }
    assert.ok(count > 25);
  });
});
