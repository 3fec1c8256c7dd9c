/** The operator with the directory's key at hand, who signs records without a workstation. */

import { type DirectoryChange, directoryNamespace, printDirectoryRecord } from "#core/account/directory.ts";
import { chainId, hashOfBody, joinSigned } from "#core/account/signed-text.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { lineOf, makeKey, type Owner } from "#test/owner.ts";

export class Operator {
  readonly domain: string;
  readonly key = makeKey();
  /** The pinned id. */
  readonly id: string;
  /** The first record, with no accounts. */
  readonly first: Buffer;
  readonly #time: number;
  #version = 0;
  #hash: string | null = null;

  /** @param time Unix seconds of all records */
  constructor(domain: string, time: number) {
    this.domain = domain;
    this.#time = time;
    this.first = this.record([]);
    this.id = chainId(this.first.subarray(0, this.first.indexOf("-----BEGIN")));
  }

  /** The next record. */
  record(changes: readonly DirectoryChange[]): Buffer {
    const body = printDirectoryRecord({
      domain: this.domain,
      version: this.#version + 1,
      prev: this.#hash,
      time: this.#time,
      operators: [lineOf(this.key)],
      changes,
    });
    this.#version++;
    this.#hash = hashOfBody(body);
    return joinSigned({ body, signatures: [signMessage(this.key, directoryNamespace(this.domain), body)] });
  }

  add(owners: ReadonlyMap<string, Owner>, fetch = 1): Buffer {
    return this.record(
      [...owners].map(([name, { id }]) => ({ kind: "add", name, account: id, quotaBytes: 1000, fetch })),
    );
  }
}
