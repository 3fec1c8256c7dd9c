/** Changing the directory: brought into step with the ledger, signed, kept, handed in, waited for. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  type DirectoryChange,
  directoryNamespace,
  MAX_DIRECTORY_BYTES,
  printDirectoryRecord,
} from "#core/account/directory.ts";
import type { RecordFrame } from "#core/account/feed.ts";
import { joinSigned, splitSigned } from "#core/account/signed-text.ts";
import { PolicyError, VerifyError } from "#core/errors.ts";
import type { MachineStanding, Reply, SignerReport, Submission } from "./ledger-machine.ts";
import { latestOf, type OperatorCopy } from "./operator-copy.ts";
import { filesByKey, signAsOneOf } from "./sign.ts";

/** The ledger, or what stands for it in tests. */
export interface Ledger {
  dump(): Promise<RecordFrame[]>;
  submit(submissions: readonly Submission[]): Promise<Reply[]>;
  standings(): Promise<MachineStanding[]>;
  signer(): Promise<SignerReport>;
  certify(signed: Buffer): Promise<Reply>;
}

export interface Operator {
  readonly copy: OperatorCopy;
  readonly ledger: Ledger;
  /** Key files to sign with; none for what an agent has. */
  readonly keyFiles: readonly string[];
  /** Unix seconds. */
  readonly now: () => number;
  /** Tells the operator something on the way. */
  readonly say: (text: string) => void;
}

const TAKEN_SECONDS = 10;
const SHOWN_REFUSALS = 20;

/**
 * Makes the ledger and the operator's copy know the same directory.
 * @returns all that the ledger had
 * @throws VerifyError FORK when the ledger has another record than ours at some version; PolicyError REFUSED
 */
export async function settle({ copy, ledger, say }: Operator): Promise<RecordFrame[]> {
  const dump = await ledger.dump();
  const theirs = dump.filter(({ of }) => of === "directory");
  const mine = copy.records;
  for (const [index, { signed }] of theirs.slice(0, mine.length).entries()) {
    if (!bodyOf(signed).equals(bodyOf(mine[index]?.signed ?? Buffer.alloc(0)))) {
      throw new VerifyError(
        "FORK",
        `the ledger has another directory than "${copy.path}" from version ${index + 1} on`,
        {
          hint: "one of the two was signed behind the other's back: find out by whom before anything else is signed; a copy that is wrong is replaced by the right one",
        },
      );
    }
  }
  if (theirs.length > mine.length) {
    say(`"${copy.path}" gets ${theirs.length - mine.length} records that it lacked, signed by an operator`);
    await copy.append(theirs.slice(mine.length));
  } else if (mine.length > theirs.length) {
    const missing = mine.slice(theirs.length);
    if (theirs.length > 0) say(`the ledger gets ${missing.length} records that it lacked`);
    await handIn(
      ledger,
      missing.map(({ signed }) => ({ of: "directory", signed })),
    );
  }
  return dump;
}

function bodyOf(signed: Buffer): Buffer {
  return splitSigned(signed, MAX_DIRECTORY_BYTES).body;
}

/**
 * Signs a record with these changes and hands it in, states of new accounts behind it; then waits for the machines.
 * The record is durable in the operator's copy before anybody else sees it.
 * @returns machines that had not taken it after 10 s
 * @throws as {@link settle}; as `Directory.take` for a change that can't be made: nothing is changed then
 */
export async function changeDirectory(
  operator: Operator,
  changes: readonly DirectoryChange[],
  states: readonly Buffer[] = [],
): Promise<string[]> {
  const { copy, ledger } = operator;
  const submissions: Submission[] = states.map((signed) => ({ of: "state", signed }));
  if (changes.length > 0) {
    // What can't be made is found out before anybody types a passphrase.
    copy.directory.checkChanges(changes);
    const signed = await signNext(operator, latestOf(copy).record.operators, changes);
    submissions.unshift({ of: "directory", signed });
  }
  await handIn(ledger, submissions);
  return await waitUntilTaken(ledger, TAKEN_SECONDS);
}

/**
 * Signs a record with these operators and no other change, by one that was an operator before and by each new one, and
 * hands it in as {@link changeDirectory} does.
 * @param operators `TYPE BASE64`, 1 to 5
 * @throws PolicyError SIGNER for a key that does not sign; FormatError DIRECTORY
 */
export async function changeOperators(operator: Operator, operators: readonly string[]): Promise<string[]> {
  const signed = await signNext(operator, operators, []);
  await handIn(operator.ledger, [{ of: "directory", signed }]);
  return await waitUntilTaken(operator.ledger, TAKEN_SECONDS);
}

/** The next record, signed and durable in the operator's copy. */
async function signNext(
  { copy, keyFiles, now }: Operator,
  operators: readonly string[],
  changes: readonly DirectoryChange[],
): Promise<Buffer> {
  const latest = latestOf(copy);
  const { domain } = copy.directory;
  const before = latest.record.operators;
  const body = printDirectoryRecord({
    domain,
    version: latest.record.version + 1,
    prev: latest.hash,
    time: Math.max(now(), latest.record.time),
    operators,
    changes,
  });
  const namespace = directoryNamespace(domain);
  const files = await filesByKey(keyFiles);
  const stranger = [...files].find(([line]) => !before.includes(line) && !operators.includes(line));
  if (stranger !== undefined) {
    throw new PolicyError("SIGNER", `"${stranger[1]}" is no key of an operator of this directory`, {
      hint: `its operators are\n${before.join("\n")}`,
    });
  }
  const signatures = [await signAsOneOf(before, files, namespace, body)];
  for (const key of operators.filter((each) => !before.includes(each))) {
    signatures.push(await signAsOneOf([key], files, namespace, body));
  }
  const signed = joinSigned({ body, signatures });
  await copy.append([{ accepted: Math.max(now(), latest.accepted), signed }]);
  return signed;
}

/** @throws PolicyError REFUSED that names the first records that were not taken, after all were tried */
export async function handIn(ledger: Ledger, submissions: readonly Submission[]): Promise<void> {
  if (submissions.length === 0) return;
  const refused = (await ledger.submit(submissions)).filter(({ code }) => code !== "ACCEPTED");
  if (refused.length === 0) return;
  const shown = refused.slice(0, SHOWN_REFUSALS).map(({ code, text }) => `the ledger refuses it with ${code}: ${text}`);
  const more = refused.length - shown.length;
  throw new PolicyError("REFUSED", [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("\n"));
}

/** @returns names of machines that lack something after that time */
export async function waitUntilTaken(ledger: Ledger, seconds: number): Promise<string[]> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const late = (await ledger.standings()).filter(({ isCurrent }) => !isCurrent);
    if (late.length === 0 || performance.now() > deadline) {
      return late.map(({ machine, why }) => `${machine} (${why})`);
    }
    await sleep(100);
  }
}
