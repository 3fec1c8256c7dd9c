/** The operator's own copy of the directory, beside the fleet definition: what was signed is not lost with a ledger. */

import { type Accepted, parseChain, printChain } from "#core/account/chain.ts";
import { Directory, MAX_DIRECTORY_BYTES } from "#core/account/directory.ts";
import { splitSigned } from "#core/account/signed-text.ts";
import { PolicyError } from "#core/errors.ts";
import { exists, readBounded, writeDurably } from "#host/files.ts";

/** Of the whole chain: some hundred times all accounts that a fleet can have. */
const MAX_COPY_BYTES = 1024 * 1024 * 1024;

export class OperatorCopy {
  readonly path: string;
  /** Where it stands after the latest record; nobody but {@link append} may change it. */
  readonly directory: Directory;
  readonly #records: Accepted[] = [];

  private constructor(path: string, directory: Directory) {
    this.path = path;
    this.directory = directory;
  }

  /** `fleet.yaml` -> `fleet.directory` */
  static pathFor(fleetFile: string): string {
    return `${fleetFile.replace(/\.ya?ml$/, "")}.directory`;
  }

  /**
   * Reads and verifies the copy.
   * @param id the directory that the fleet believes
   * @throws FormatError CHAIN, SIGNED; PolicyError USAGE when there is none; as {@link Directory.take}
   */
  static async read(fleetFile: string, domain: string, id: string): Promise<OperatorCopy> {
    const path = OperatorCopy.pathFor(fleetFile);
    if (!(await exists(path))) {
      throw new PolicyError("USAGE", `there is no "${path}", the operator's copy of the directory`, {
        hint: "`shoalctl directory create` makes it; on a second workstation, copy it from the first",
      });
    }
    const copy = new OperatorCopy(path, new Directory(domain, id));
    for (const record of parseChain(await readBounded(path, MAX_COPY_BYTES), MAX_DIRECTORY_BYTES)) copy.#take(record);
    return copy;
  }

  /** Begins a copy with the first record. @throws PolicyError USAGE where there is one already */
  static async create(fleetFile: string, domain: string, id: string, first: Accepted): Promise<OperatorCopy> {
    const path = OperatorCopy.pathFor(fleetFile);
    if (await exists(path)) {
      throw new PolicyError("USAGE", `there is a directory already: "${path}"`, {
        hint: "a fleet has one directory for ever: without it, every account would have to begin anew",
      });
    }
    const copy = new OperatorCopy(path, new Directory(domain, id));
    await copy.append([first]);
    return copy;
  }

  /** In their order, from version 1. */
  get records(): readonly Accepted[] {
    return this.#records;
  }

  /**
   * Verifies further records and makes them durable; where one does not hold, those before it are not kept either.
   * @throws as {@link Directory.take}; the object is of no use after that
   */
  async append(records: readonly Accepted[]): Promise<void> {
    for (const record of records) this.#take(record);
    await writeDurably(this.path, printChain(this.#records), 0o600);
  }

  #take(record: Accepted): void {
    this.directory.take(splitSigned(record.signed, MAX_DIRECTORY_BYTES), record.accepted);
    this.#records.push(record);
  }
}

type Latest = NonNullable<Directory["latest"]>;

/** The latest record of a copy, which always has one. */
export function latestOf({ directory }: OperatorCopy): Latest {
  if (directory.latest === null) throw new TypeError("a copy of the directory has no record");
  return directory.latest;
}
