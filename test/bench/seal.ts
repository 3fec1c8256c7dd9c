/**
 * Sealing and opening in this process against Debian's `age` command (one process a file, as a shell script would) and
 * against a bare loop of ChaCha20-Poly1305 over chunks of 64 KiB that throws its output away: the floor of what
 * `node:crypto` can do. All take turns within one run, and medians count.
 */

import { execFileSync } from "node:child_process";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  type Identity,
  open,
  openStream,
  parseIdentities,
  parseRecipient,
  type Recipient,
  seal,
  sealStream,
} from "#core/age/age.ts";

const CHUNK_BYTES = 64 * 1024;
const ALGORITHM = "chacha20-poly1305";
const OPTIONS = { authTagLength: 16 };

/** Size, rounds in which everybody takes a turn, and runs in each turn: short ones can't be timed singly. */
const CASES = [
  { name: "10k", bytes: 10 * 1024, rounds: 15, runs: 10 },
  { name: "1m", bytes: 1024 * 1024, rounds: 15, runs: 5 },
  { name: "100m", bytes: 100 * 1024 * 1024, rounds: 7, runs: 1 },
] as const;

interface Bench {
  folder: string;
  recipients: readonly Recipient[];
  identities: readonly Identity[];
  recipientText: string;
  identityPath: string;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const BARE_KEY = Buffer.alloc(32, 1);

function bareNonce(at: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(at / CHUNK_BYTES, 7);
  return nonce;
}

function bareSeal(plaintext: Buffer, take: (body: Buffer, tag: Buffer) => void): void {
  for (let at = 0; at < plaintext.length; at += CHUNK_BYTES) {
    const cipher = createCipheriv(ALGORITHM, BARE_KEY, bareNonce(at), OPTIONS);
    const body = cipher.update(plaintext.subarray(at, at + CHUNK_BYTES));
    cipher.final();
    take(body, cipher.getAuthTag());
  }
}

function bareOpen(body: Buffer, tags: readonly Buffer[]): void {
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    const decipher = createDecipheriv(ALGORITHM, BARE_KEY, bareNonce(at), OPTIONS);
    decipher.setAuthTag(tags[at / CHUNK_BYTES] ?? Buffer.alloc(0));
    decipher.update(body.subarray(at, at + CHUNK_BYTES));
    decipher.final();
  }
}

async function drain(source: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0;
  for await (const chunk of source) bytes += chunk.length;
  return bytes;
}

/** As a file is read: in pieces of 64 KiB. */
function* pieces(bytes: Buffer): Generator<Buffer, void, void> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** `runs` processes one after the other, started by a shell: starting them from here would cost them more. */
function age(runs: number, args: readonly string[]): void {
  execFileSync("sh", ["-c", `for run in $(seq ${runs}); do age "$@" || exit 1; done`, "sh", ...args]);
}

/** The contestants for one size: each a name, how often it runs in a turn, and a turn. */
function contestants(bench: Bench, plaintext: Buffer, runs: number): [who: string, turn: () => unknown][] {
  const { recipients, identities, recipientText, identityPath, folder } = bench;
  const plainPath = join(folder, "plain");
  const sealedPath = join(folder, "sealed");
  const outPath = join(folder, "out");
  const sealed = seal(recipients, plaintext);
  const bareBodies: Buffer[] = [];
  const bareTags: Buffer[] = [];
  bareSeal(plaintext, (body, tag) => {
    bareBodies.push(body);
    bareTags.push(tag);
  });
  const bareSealed = Buffer.concat(bareBodies);
  writeFileSync(plainPath, plaintext);
  writeFileSync(sealedPath, sealed);
  const often = (work: () => unknown) => async (): Promise<void> => {
    for (let run = 0; run < runs; run++) await work();
  };
  return [
    ["seal", often(() => seal(recipients, plaintext))],
    ["bareSeal", often(() => bareSeal(plaintext, () => undefined))],
    ["sealStream", often(async () => await drain(sealStream(recipients, pieces(plaintext))))],
    ["ageSeal", () => age(runs, ["-r", recipientText, "-o", outPath, plainPath])],
    ["open", often(() => open(identities, sealed))],
    ["bareOpen", often(() => bareOpen(bareSealed, bareTags))],
    ["openStream", often(async () => await drain(openStream(identities, pieces(sealed))))],
    ["ageOpen", () => age(runs, ["-d", "-i", identityPath, "-o", outPath, sealedPath])],
  ];
}

/**
 * Fields: `ageRatio10k`, our speed through the speed of the `age` command for 10 KB (the worse of sealing and opening);
 * `bareRatio100m`, our speed through that of the bare loop for 100 MB in a stream (the worse of both again), and
 * `bareRatio100mWhole` for 100 MB as one buffer, which has to be written a second time; the medians in milliseconds as
 * `seal10kMs`, `ageSeal10kMs`, `bareSeal10kMs`, and so on.
 */
export async function benchSeal(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), "shoal-bench-seal-"));
  try {
    const identityPath = join(folder, "key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", identityPath]);
    const recipientText = readFileSync(`${identityPath}.pub`, "utf8").trim();
    const recipients = [parseRecipient(recipientText)];
    const identities = parseIdentities(readFileSync(identityPath, "utf8"));
    const bench = { folder, recipients, identities, recipientText, identityPath };
    // Between turns, so that nobody pays for what another has left behind.
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const times = new Map<string, number[]>();
    for (const { name, bytes, rounds, runs } of CASES) {
      const list = contestants(bench, randomBytes(bytes), runs);
      // The first round warms up and does not count.
      for (let round = 0; round <= rounds; round++) {
        for (const [who, turn] of list) {
          collectGarbage();
          const started = performance.now();
          await turn();
          const took = (performance.now() - started) / runs;
          if (round > 0) times.set(`${who}${name}`, [...(times.get(`${who}${name}`) ?? []), took]);
        }
      }
    }
    // Within a round the machine is equally busy for everybody, so the ratio of each round counts, not that of medians.
    const ratio = (theirs: string, ours: string): number =>
      median((times.get(theirs) ?? []).map((time, round) => time / (times.get(ours)?.[round] ?? Number.NaN)));
    return {
      ageRatio10k: Math.min(ratio("ageSeal10k", "seal10k"), ratio("ageOpen10k", "open10k")),
      ageRatio1m: Math.min(ratio("ageSeal1m", "seal1m"), ratio("ageOpen1m", "open1m")),
      ageRatio100m: Math.min(ratio("ageSeal100m", "sealStream100m"), ratio("ageOpen100m", "openStream100m")),
      bareRatio100m: Math.min(ratio("bareSeal100m", "sealStream100m"), ratio("bareOpen100m", "openStream100m")),
      bareRatio100mWhole: Math.min(ratio("bareSeal100m", "seal100m"), ratio("bareOpen100m", "open100m")),
      ...Object.fromEntries([...times].map(([name, values]) => [`${name}Ms`, median(values)])),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
