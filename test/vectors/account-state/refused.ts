/** Vectors that are refused, each named after what is tried. */

import { refusedBodies } from "./refused-bodies.ts";
import { refusedKeys } from "./refused-keys.ts";
import { refusedSignatures } from "./refused-signatures.ts";
import { refusedSteps } from "./refused-steps.ts";
import type { Story } from "./story.ts";

export interface Refused {
  readonly code: string;
  readonly story: Story;
}

export function refusedVectors(): Map<string, Refused> {
  const all = new Map<string, Refused>();
  for (const group of [refusedBodies(), refusedKeys(), refusedSignatures(), refusedSteps()]) {
    for (const [name, code, story] of group) {
      if (all.has(name)) throw new Error(`two vectors are named ${name}`);
      all.set(name, { code, story });
    }
  }
  return all;
}
