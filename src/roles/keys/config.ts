/** The JSON configuration of shoal-keys; unknown fields are refused. */

import * as v from "valibot";
import { readConfig } from "#host/config.ts";

const path = v.pipe(v.string(), v.startsWith("/"));

export const keysSchema = v.strictObject({
  /** Where each account has its folder with `proposal` and `answer/`. */
  folder: path,
  /** Where the ledger's connection comes in. */
  socket: path,
});

export type KeysConfig = v.InferOutput<typeof keysSchema>;
/** What the renderer writes. */
export type KeysConfigInput = v.InferInput<typeof keysSchema>;

/** @throws FormatError CONFIG naming every mistake */
export async function readKeysConfig(file: string): Promise<KeysConfig> {
  return await readConfig(keysSchema, file);
}
