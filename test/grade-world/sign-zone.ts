/** DNSSEC for zones of the test internet, by the ldns tools. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./run.ts";

export interface SignedZone {
  /** Zone file with keys and signatures. */
  readonly text: string;
  /** Its key as a DNSKEY record, for resolvers that are to trust it. */
  readonly anchor: string;
}

/** A new key that signs nothing. @returns its file name in the folder, without an ending */
export async function newZoneKey(folder: string, zone: string): Promise<string> {
  return (await run("ldns-keygen", ["-a", "ECDSAP256SHA256", "-k", zone], folder)).trim();
}

/** Signs with a new key; its files stay in the folder. */
export async function signZone(folder: string, zone: string, text: string): Promise<SignedZone> {
  const file = join(folder, `${zone}.zone`);
  const signed = `${file}.signed`;
  await writeFile(file, text);
  const key = await newZoneKey(folder, zone);
  await run("ldns-signzone", ["-f", signed, file, key], folder);
  return { text: await readFile(signed, "utf8"), anchor: await readFile(join(folder, `${key}.key`), "utf8") };
}
