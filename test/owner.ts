/** An account's owner with all keys at hand, who makes states without a client: for drills, benches and floods. */

import { createPublicKey, randomBytes } from "node:crypto";
import { hashOfBody, joinSigned } from "#core/account/signed-text.ts";
import { type AccountState, type Device, printState, stateNamespace } from "#core/account/state.ts";
import { acceptStep, parseProposal, type Standing } from "#core/account/step.ts";
import { ed25519PrivateKey, type SshPrivateKey } from "#core/ssh/private-key.ts";
import { parsePublicKeyBlob } from "#core/ssh/public-key.ts";
import { signMessage } from "#core/ssh/sign.ts";
import { wireString } from "#core/ssh/wire.ts";

export type Ed25519Key = Extract<SshPrivateKey, { type: "ssh-ed25519" }>;

/** A key as `ssh-keygen -t ed25519` makes it. */
export function makeKey(seed: Buffer = randomBytes(32)): Ed25519Key {
  const point = createPublicKey(ed25519PrivateKey(seed)).export({ format: "der", type: "spki" }).subarray(-32);
  const blob = Buffer.concat([wireString("ssh-ed25519"), wireString(point)]);
  return { type: "ssh-ed25519", publicKey: parsePublicKeyBlob(blob), seed };
}

/** `TYPE BASE64` */
export function lineOf(key: SshPrivateKey): string {
  return key.publicKey.line;
}

export function signState(state: AccountState, signers: readonly SshPrivateKey[]): Buffer {
  const body = printState(state);
  const namespace = stateNamespace(state.domain);
  return joinSigned({ body, signatures: signers.map((key) => signMessage(key, namespace, body)) });
}

/** One account with one master and one recovery key. */
export class Owner {
  readonly master = makeKey();
  readonly recovery = makeKey();
  readonly device = makeKey();
  readonly genesis: Buffer;
  standing: Standing;

  /** @param time Unix seconds of version 1 */
  constructor(domain: string, time: number) {
    const device: Device = { auth: true, seal: true, key: lineOf(this.device) };
    this.genesis = signState(
      {
        domain,
        account: null,
        version: 1,
        prev: null,
        time,
        master: [lineOf(this.master)],
        recovery: [lineOf(this.recovery)],
        devices: [device],
      },
      [this.master, this.recovery],
    );
    this.standing = acceptStep(null, parseProposal(this.genesis), time, domain);
  }

  get id(): string {
    return this.standing.id;
  }

  /** The next version with these changes, signed by these keys; nothing is taken for accepted. */
  propose(changes: Partial<AccountState>, signers: readonly SshPrivateKey[] = [this.master]): Buffer {
    return signState(nextState(this.standing, changes), signers);
  }

  /** The same, and it is the latest from now on. */
  advance(changes: Partial<AccountState>, signers: readonly SshPrivateKey[] = [this.master]): Buffer {
    const signed = this.propose(changes, signers);
    const { domain } = this.standing.state;
    const proposal = parseProposal(signed);
    this.standing = acceptStep(this.standing, proposal, Math.max(proposal.state.time, this.standing.accepted), domain);
    return signed;
  }
}

/** The state behind a standing, with these changes. */
export function nextState({ id, state, hash }: Standing, changes: Partial<AccountState>): AccountState {
  return { ...state, account: id, version: state.version + 1, prev: hash, ...changes };
}

/** Hash of the body of a signed state, as the next version names it. */
export function hashOfSigned(signed: Buffer): string {
  return hashOfBody(parseProposal(signed).signed.body);
}
