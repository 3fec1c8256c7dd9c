/** Writes data of any size to standard output. */

import { HostError } from "#core/errors.ts";
import { awaitedFailures } from "./terminal.ts";

/**
 * Resolves when it is written. A reader that has seen enough (`| head`) is no failure.
 * @throws HostError FILE
 */
export async function writeOut(data: string | Uint8Array): Promise<void> {
  await new Promise<void>((done, reject) => {
    const { stdout } = process;
    const failed = (cause: NodeJS.ErrnoException): void => {
      awaitedFailures.add(cause);
      if (cause.code === "EPIPE") done();
      else reject(new HostError("FILE", `can't write to standard output: ${cause.message}`, { cause }));
    };
    // The stream tells its callback first and its listeners later: this one stays.
    if (stdout.listenerCount("error") === 0) stdout.on("error", failed);
    stdout.write(data, (error) => {
      if (error) failed(error);
      else done();
    });
  });
}
