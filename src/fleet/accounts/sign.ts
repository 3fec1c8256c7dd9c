/** Signatures by the operator's keys. `ssh-keygen` makes them, so that passphrases, agents and FIDO2 tokens all work. */

import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostError, PolicyError } from "#core/errors.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { exec } from "#host/exec.ts";
import { exists, readBounded } from "#host/files.ts";

const MAX_KEY_BYTES = 65_536;
const PUBLIC_KEY = /^(?:ssh|ecdsa|sk)-/;

/**
 * `TYPE BASE64` of a key file: of itself where it is public, of `FILE.pub`, or of what ssh-keygen makes of it.
 * @throws FormatError KEY; HostError FILE, EXEC
 */
export async function publicLineOf(file: string): Promise<string> {
  const own = (await readKeyFile(file)).trim();
  if (PUBLIC_KEY.test(own)) return parsePublicKey(own).line;
  const text = (await exists(`${file}.pub`))
    ? await readKeyFile(`${file}.pub`)
    : (await exec("ssh-keygen", ["-y", "-f", file])).stdout.toString("utf8");
  return parsePublicKey(text.trim()).line;
}

async function readKeyFile(file: string): Promise<string> {
  if (!(await exists(file))) throw new HostError("FILE", `there is no key file "${file}"`);
  return (await readBounded(file, MAX_KEY_BYTES)).toString("utf8");
}

/**
 * An armored signature over the bytes. Prompts of ssh-keygen go to the terminal.
 * @param file a private key, or a public one whose private half an agent has
 * @throws HostError EXEC
 */
export async function signWith(file: string, namespace: string, body: Uint8Array): Promise<string> {
  const child = spawn("ssh-keygen", ["-q", "-Y", "sign", "-f", file, "-n", namespace], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", (cause) => reject(new HostError("EXEC", "can't start ssh-keygen", { cause })));
    child.stdin.on("error", (cause: NodeJS.ErrnoException) => {
      // It may end before it has read everything; its exit status tells the rest.
      if (cause.code !== "EPIPE") reject(new HostError("EXEC", "can't write to ssh-keygen", { cause }));
    });
    child.on("close", resolve);
  });
  child.stdin.end(body);
  if ((await ended) !== 0) throw new HostError("EXEC", `ssh-keygen made no signature with "${file}"`);
  return Buffer.concat(chunks).toString("latin1");
}

/** Signs with the private half that an agent has. @param key `TYPE BASE64` */
export async function signWithAgent(key: string, namespace: string, body: Uint8Array): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-sign-"));
  try {
    const file = join(folder, "operator.pub");
    await writeFile(file, `${key}\n`, { mode: 0o600 });
    return await signWith(file, namespace, body);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `TYPE BASE64` of each key file -> the file. @throws as {@link publicLineOf} */
export async function filesByKey(keyFiles: readonly string[]): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const file of keyFiles) files.set(await publicLineOf(file), file);
  return files;
}

/**
 * Signs with the first of these keys that has a file, otherwise with one that an agent has.
 * @param files as {@link filesByKey} gives them
 * @throws HostError EXEC; PolicyError SIGNER when no agent has one
 */
export async function signAsOneOf(
  keys: readonly string[],
  files: ReadonlyMap<string, string>,
  namespace: string,
  body: Uint8Array,
): Promise<string> {
  for (const key of keys) {
    const file = files.get(key);
    if (file !== undefined) return await signWith(file, namespace, body);
  }
  for (const key of keys) {
    try {
      return await signWithAgent(key, namespace, body);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  throw new PolicyError("SIGNER", `no agent has a key of an operator who has to sign:\n${keys.join("\n")}`, {
    hint: "name the key with --key FILE, or add it to your agent with ssh-add",
  });
}
