/** All versions of one account in one text, each with its acceptance (docs/formats/account-state.md, "Chain"). */

import { FormatError } from "#core/errors.ts";
import { MAX_SIGNATURES } from "./signed-text.ts";
import { MAX_STATE_BYTES } from "./state.ts";
import { acceptStep, parseProposal, type Standing } from "./step.ts";

/** A version as it was accepted. */
export interface Accepted {
  /** Unix time in seconds. */
  readonly accepted: number;
  /** Body and signatures. */
  readonly signed: Buffer;
}

const BEGIN = "-----BEGIN SSH SIGNATURE-----";
const END = "-----END SSH SIGNATURE-----";

export function printChain(versions: Iterable<Accepted>): Buffer {
  const parts: Buffer[] = [];
  for (const { accepted, signed } of versions) parts.push(Buffer.from(`accepted ${accepted}\n`), signed);
  return Buffer.concat(parts);
}

/**
 * Splits a chain into its versions, unverified. A version ends where its signatures do.
 * @param maxBodyBytes of one version: those of the directory are larger
 * @throws FormatError CHAIN
 */
export function parseChain(bytes: Buffer, maxBodyBytes = MAX_STATE_BYTES): Accepted[] {
  const versions: Accepted[] = [];
  let at = 0;
  const fail = (expected: string): never => {
    throw new FormatError("CHAIN", `chain: byte ${at}: expected ${expected}`);
  };
  const line = (): string => {
    const end = bytes.indexOf(10, at);
    if (end < 0) fail("a line end");
    return bytes.toString("latin1", at, end);
  };
  while (at < bytes.length) {
    const accepted = /^accepted (0|[1-9][0-9]{0,14})$/.exec(line())?.[1];
    if (accepted === undefined) fail('"accepted SECONDS"');
    at += `accepted ${accepted}\n`.length;
    const start = at;
    while (line() !== BEGIN) {
      at += line().length + 1;
      if (at - start > maxBodyBytes) fail("a signature");
    }
    for (let count = 0; at < bytes.length && line() === BEGIN; count++) {
      if (count === MAX_SIGNATURES) fail(`at most ${MAX_SIGNATURES} signatures`);
      const end = bytes.indexOf(`\n${END}\n`, at);
      if (end < 0) fail(`"${END}"`);
      at = end + END.length + 2;
    }
    versions.push({ accepted: Number(accepted), signed: bytes.subarray(start, at) });
  }
  return versions;
}

/**
 * Verifies versions on top of what is known already.
 * @param standing null to begin with version 1
 * @returns the standing after the last version
 * @throws as {@link parseProposal} and {@link acceptStep}
 */
export function verifySteps(versions: Iterable<Accepted>, domain: string, standing: Standing | null): Standing | null {
  let last = standing;
  for (const { accepted, signed } of versions) {
    last = acceptStep(last, parseProposal(signed), accepted, domain);
  }
  return last;
}
