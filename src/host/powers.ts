import { PolicyError } from "#core/errors.ts";

/**
 * What a resident program does first: it refuses to be root, forgets its environment but for `PATH` and `TZ`, and
 * keeps what it writes from other users.
 * @throws PolicyError USAGE
 */
export function giveUpPowers(): void {
  if (process.getuid?.() === 0 || process.geteuid?.() === 0) {
    throw new PolicyError("USAGE", "this program refuses to run as root", { hint: "start it as its own user" });
  }
  giveUpEnvironment();
}

/** The part of {@link giveUpPowers} that also programs do which need root for what they are there for. */
export function giveUpEnvironment(): void {
  for (const name of Object.keys(process.env)) {
    if (name !== "PATH" && name !== "TZ") Reflect.deleteProperty(process.env, name);
  }
  process.umask(0o027);
}
