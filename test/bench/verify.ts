/**
 * Verifying an SSH signature in this process against `ssh-keygen -Y verify`, one process each, as a shell script would.
 * Both verify the same account state by the same ed25519 key, taking turns within one run.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { splitSigned } from "#core/account/signed-text.ts";
import { MAX_STATE_BYTES, stateNamespace } from "#core/account/state.ts";
import { parseSignature, verifySignature } from "#core/ssh/signature.ts";
import { lineOf, Owner } from "#test/owner.ts";

const domain = "shoal.example";
const rounds = 5;
const ours = 2000;
const theirs = 40;

function perSecond(count: number, run: () => void): number {
  const started = performance.now();
  for (let i = 0; i < count; i++) run();
  return count / ((performance.now() - started) / 1000);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export function benchVerify(): { verifyRatio: number; verifiesPerSecond: number; sshKeygenPerSecond: number } {
  const owner = new Owner(domain, 1_800_000_000);
  const { body, signatures } = splitSigned(owner.genesis, MAX_STATE_BYTES);
  const [armored = ""] = signatures;
  const folder = mkdtempSync(join(tmpdir(), "shoal-bench-"));
  try {
    writeFileSync(join(folder, "signers"), `owner ${lineOf(owner.master)}\n`);
    writeFileSync(join(folder, "sig"), armored);
    const args = ["-Y", "verify", "-f", join(folder, "signers"), "-I", "owner"];
    args.push("-n", stateNamespace(domain), "-s", join(folder, "sig"));
    const inProcess: number[] = [];
    const spawned: number[] = [];
    for (let round = 0; round < rounds; round++) {
      inProcess.push(
        perSecond(ours, () => void verifySignature(parseSignature(armored), stateNamespace(domain), body)),
      );
      spawned.push(perSecond(theirs, () => void execFileSync("ssh-keygen", args, { input: body })));
    }
    const [verifiesPerSecond, sshKeygenPerSecond] = [median(inProcess), median(spawned)];
    return { verifyRatio: verifiesPerSecond / sshKeygenPerSecond, verifiesPerSecond, sshKeygenPerSecond };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
