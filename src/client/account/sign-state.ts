/** Signs states with the owner's keys and judges the outcome as every machine will. */

import { joinSigned } from "#core/account/signed-text.ts";
import { type AccountState, printState, stateNamespace } from "#core/account/state.ts";
import { acceptStep, parseProposal, type Standing } from "#core/account/step.ts";
import { type OwnerKey, signWith } from "./owner-key.ts";

/**
 * @param previous null for version 1
 * @param now Unix seconds
 * @returns body and signatures, which the step rule accepts
 * @throws as printState, {@link signWith} and acceptStep
 */
export async function signState(
  previous: Standing | null,
  state: AccountState,
  signers: readonly OwnerKey[],
  now: number,
): Promise<{ signed: Buffer; standing: Standing }> {
  const body = printState(state);
  const signatures: string[] = [];
  const done = new Set<string>();
  // One after the other: each may ask its person something.
  for (const signer of signers) {
    if (done.has(signer.line)) continue;
    done.add(signer.line);
    signatures.push(await signWith(signer, stateNamespace(state.domain), body));
  }
  const signed = joinSigned({ body, signatures });
  const accepted = Math.max(now, previous?.accepted ?? 0);
  return { signed, standing: acceptStep(previous, parseProposal(signed), accepted, state.domain) };
}
