/** Master and recovery keys as the owner has them: in files, in an agent, on a token. Only ssh-keygen and ssh use them. */

import { say } from "#cli/terminal.ts";
import { HostError, VerifyError } from "#core/errors.ts";
import { parsePrivateKey } from "#core/ssh/private-key.ts";
import { parsePublicKey } from "#core/ssh/public-key.ts";
import { tryExec } from "#host/exec.ts";
import { readBounded } from "#host/files.ts";
import { makeAskpass } from "../identities.ts";
import { passphraseFor } from "../passphrase.ts";
import type { Places } from "../places.ts";
import { readPublicHalf } from "../public-half.ts";
import { usableFile } from "./private-copy.ts";

export interface OwnerKey {
  /** As the person named it. */
  readonly path: string;
  /** As `ssh-keygen -f` and `ssh -i` take it. */
  readonly file: string;
  /** `TYPE BASE64` */
  readonly line: string;
  /** What ssh and ssh-keygen get their passphrase from, if they need one. */
  readonly askpass: { program: string; env: Record<string, string> } | undefined;
}

/**
 * Reads what is known of a key without using it. A passphrase is asked for once, here, unless an agent holds the key.
 * @throws FormatError KEY; HostError FILE; PolicyError PASSPHRASE
 */
export async function loadOwnerKey(path: string, places: Places): Promise<OwnerKey> {
  const { key, isProtected, isPublicOnly } = await readPublicHalf(path);
  const { line } = parsePublicKey(key);
  const file = isPublicOnly ? path : await usableFile(path, places);
  if (!isProtected || (await isInAgent(line))) return { path, file, line, askpass: undefined };
  const passphrase = await rightPassphrase(path);
  return {
    path,
    file,
    line,
    askpass: { program: await makeAskpass(places.state), env: { SHOAL_SSH_PASSPHRASE: passphrase } },
  };
}

const MAX_TRIES = 3;

/** Asked for again while it is wrong, if there is a person to ask. */
async function rightPassphrase(path: string): Promise<string> {
  const text = (await readBounded(path, 65_536)).toString("latin1");
  for (let tries = 1; ; tries++) {
    const passphrase = await passphraseFor(path);
    try {
      parsePrivateKey(text, passphrase);
      return passphrase;
    } catch (error) {
      // What is of no kind that can be opened here, as a token's key, is for ssh-keygen to judge.
      if (!(error instanceof VerifyError && error.code === "PASSPHRASE")) return passphrase;
      if (tries === MAX_TRIES || process.stdin.isTTY !== true) throw error;
      say("shoal", "that is not its passphrase");
    }
  }
}

/** True if the key can be used without asking for a passphrase. */
export async function isReady(path: string): Promise<boolean> {
  const { key, isProtected } = await readPublicHalf(path);
  const hasFile = (process.env["SHOAL_PASSPHRASE_FILE"] ?? "") !== "";
  return !isProtected || hasFile || (await isInAgent(key));
}

async function isInAgent(line: string): Promise<boolean> {
  if (process.env["SSH_AUTH_SOCK"] === undefined) return false;
  const { stdout } = await tryExec("ssh-add", ["-L"], { timeoutSeconds: 5 });
  return stdout
    .toString("utf8")
    .split("\n")
    .some((each) => each.startsWith(`${line} `) || each === line);
}

/**
 * What `ssh-keygen -Y sign` prints for a message.
 * @throws HostError EXEC with what ssh-keygen said
 */
export async function signWith(key: OwnerKey, namespace: string, message: Uint8Array): Promise<string> {
  const env = { ...process.env };
  if (key.askpass !== undefined) {
    Object.assign(env, key.askpass.env, { SSH_ASKPASS: key.askpass.program, SSH_ASKPASS_REQUIRE: "force" });
  }
  if (key.line.startsWith("sk-")) say("shoal", `signing with the security key "${key.path}": touch it when it blinks`);
  const { status, stdout, stderr } = await tryExec("ssh-keygen", ["-Y", "sign", "-f", key.file, "-n", namespace], {
    input: message,
    env,
  });
  if (status === 0) return stdout.toString("latin1");
  const said = stderr.replace(/^Signing data on standard input\s*/, "").trim();
  throw new HostError("EXEC", `ssh-keygen can't sign with "${key.path}"${said === "" ? "" : `: ${said}`}`, {
    hint: "check the passphrase; a key in an agent must be loaded there, a security key plugged in",
  });
}
