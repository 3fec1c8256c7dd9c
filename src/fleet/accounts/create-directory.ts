import { directoryNamespace, printDirectoryRecord } from "#core/account/directory.ts";
import { chainId, joinSigned } from "#core/account/signed-text.ts";
import { OperatorCopy } from "./operator-copy.ts";
import { publicLineOf, signWith } from "./sign.ts";

export interface NewDirectory {
  /** The definition that the directory is for; the operator's copy goes beside it. */
  readonly fleetFile: string;
  readonly domain: string;
  /** Keys of the operators, 1 to 5; each signs. */
  readonly keyFiles: readonly string[];
  /** Unix seconds. */
  readonly now: number;
}

/**
 * Makes the first record of a directory.
 * @returns its id, which the definition names
 * @throws PolicyError USAGE where there is one already, KEY-TWICE; HostError EXEC when a key does not sign
 */
export async function createDirectory({ fleetFile, domain, keyFiles, now }: NewDirectory): Promise<string> {
  const operators: string[] = [];
  for (const file of keyFiles) operators.push(await publicLineOf(file));
  const body = printDirectoryRecord({ domain, version: 1, prev: null, time: now, operators, changes: [] });
  const signatures: string[] = [];
  for (const file of keyFiles) signatures.push(await signWith(file, directoryNamespace(domain), body));
  const id = chainId(body);
  await OperatorCopy.create(fleetFile, domain, id, { accepted: now, signed: joinSigned({ body, signatures }) });
  return id;
}
