/** A device that syncs in this process, over a real sshd, by a clock of the test's: what it opens is noted, not opened. */

import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { AccountMemory } from "#client/account/memory.ts";
import type { Storage } from "#client/mail-store.ts";
import { type AddressedProfile, Auditor } from "#client/mailbox/auditor.ts";
import type { DeviceSigner } from "#client/mailbox/device-signer.ts";
import { MailboxState } from "#client/mailbox/state.ts";
import { type Places, placesOf } from "#client/places.ts";
import { type ProvenResult, syncProven } from "#client/sync-proven.ts";
import { isAboutOneFile, keyOf } from "#core/mailbox/finding.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { makeFolder } from "#host/files.ts";
import type { SftpConnection } from "#host/sftp.ts";
import { DOMAIN, sha256 } from "#test/mailbox/fetch.ts";
import { type Ed25519Key, lineOf } from "#test/owner.ts";

export interface ServerPlace {
  /** The account's folder on the server. */
  readonly folder: string;
  readonly knownHosts: string;
}

export class ProvenDevice {
  readonly places: Places;
  /** Digest -> the file as it was handed over to be opened. */
  readonly opened = new Map<string, Buffer>();
  readonly #server: ServerPlace;
  readonly #signer: DeviceSigner;

  private constructor(home: string, server: ServerPlace, signer: DeviceSigner) {
    this.places = placesOf("default", { XDG_STATE_HOME: home, XDG_CONFIG_HOME: home });
    this.#server = server;
    this.#signer = signer;
  }

  /** @param parent where its home is made @param account pinned, as a person does */
  static async create(parent: string, server: ServerPlace, key: Ed25519Key, account: string): Promise<ProvenDevice> {
    const signer = {
      key: lineOf(key),
      sign: (...what: [string, Uint8Array]) => Promise.resolve(signMessage(key, ...what)),
    };
    const device = new ProvenDevice(await mkdtemp(join(parent, "device-")), server, signer);
    await makeFolder(device.places.state, 0o700);
    await new AccountMemory(device.places, DOMAIN).trust(account);
    return device;
  }

  /** Remembers what another one does, from here on. */
  async becomes(other: ProvenDevice): Promise<void> {
    await rm(this.places.state, { recursive: true });
    await mkdir(join(this.places.state, ".."), { recursive: true });
    await cp(other.places.state, this.places.state, { recursive: true, preserveTimestamps: true });
    this.opened.clear();
  }

  get profile(): AddressedProfile {
    return {
      ...{ account: "alice", domain: DOMAIN, host: "127.0.0.1", folder: join(this.#server.folder, "mail") },
      ...{ identities: ["/nonexistent"], knownHosts: this.#server.knownHosts, maildir: "/nonexistent" },
    };
  }

  get state(): MailboxState {
    return new MailboxState(this.places);
  }

  /** @param now its clock, Unix seconds */
  async sync(
    sftp: SftpConnection,
    now: number,
    keep: boolean,
    storage: Storage = this.#storage(),
  ): Promise<ProvenResult> {
    const auditor = new Auditor(sftp, this.profile, this.places, () => now);
    return await syncProven({ sftp, auditor, storage, keep, signer: () => Promise.resolve(this.#signer) });
  }

  #storage(): Storage {
    const { opened } = this;
    return {
      missing: (digests) => Promise.resolve(digests.filter((digest) => !opened.has(digest))),
      store(digest, file) {
        opened.set(digest, Buffer.from(file));
        return Promise.resolve({ isNew: true });
      },
      flush: () => undefined,
    };
  }

  /** What was handed over to be opened and is not, byte for byte, what its name says. */
  get openedWrongly(): string[] {
    return [...this.opened].filter(([digest, file]) => sha256(file) !== digest).map(([digest]) => digest);
  }
}

/** Findings as `CODE`, or `CODE SUBJECT` where they are about one file; each once, sorted. */
export function wordsOf({ audit: { findings } }: ProvenResult): string[] {
  return [...new Set(findings.map((one) => (isAboutOneFile(one) ? keyOf(one) : one.code)))].sort();
}
