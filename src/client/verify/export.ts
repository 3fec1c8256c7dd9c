/** `shoal verify --export`: writes a proof bundle. */

import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { PolicyError } from "#core/errors.ts";
import { isGenuine } from "#core/mailbox/audit.ts";
import { printBundle } from "#core/mailbox/bundle.ts";
import { makeBundle } from "#core/mailbox/bundle-make.ts";
import { verifyBundle } from "#core/mailbox/bundle-verify.ts";
import { type Entry, mailName } from "#core/mailbox/entry.ts";
import { closesMailbox } from "#core/mailbox/finding.ts";
import { writeDurably } from "#host/files.ts";
import { genuineNames, type Verified } from "./scratch.ts";

export interface Written {
  readonly path: string;
  readonly bytes: number;
  /** Sealed files in it. */
  readonly files: number;
}

/**
 * @param about what it is to be about; with none all deliveries
 * @param withFiles false to leave the sealed files out
 * @throws PolicyError REFUSED where nothing can be proved; FormatError TOO-LARGE; VerifyError VERSION; HostError DISK, FILE
 */
export async function exportBundle(
  verified: Verified,
  about: readonly Entry[],
  file: string,
  withFiles: boolean,
): Promise<Written> {
  const { result, shown, versions, roots } = verified;
  if (result.head === null || result.findings.some(closesMailbox)) {
    throw new PolicyError("REFUSED", "nothing of this mailbox can be proved: its head or its entries don't hold", {
      hint: "what is found above is for the operator; a copy of the whole folder (sftp -r) keeps what the server shows",
    });
  }
  const files = withFiles
    ? await readFiles(verified, about.length === 0 ? result.live : about)
    : new Map<string, Buffer>();
  const bundle = makeBundle({ shown, result, versions, about, files });
  // Whoever gets it judges it like this.
  verifyBundle(bundle, roots, verified.standing.id);
  const parts = printBundle(bundle);
  const path = resolve(file);
  await writeDurably(path, Buffer.concat(parts));
  return { path, bytes: parts.reduce((sum, { length }) => sum + length, 0), files: files.size };
}

async function readFiles(verified: Verified, entries: readonly Entry[]): Promise<Map<string, Buffer>> {
  const genuine = genuineNames(verified);
  const files = new Map<string, Buffer>();
  for (const entry of entries) {
    const name = mailName(entry);
    const bytes = genuine.has(name) ? await verified.read(name) : null;
    if (bytes === null) continue;
    // Read again, so judged again.
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (isGenuine(entry, bytes.length, digest)) files.set(entry.digest, bytes);
  }
  return files;
}
