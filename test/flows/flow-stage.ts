/** The stage of a flow: opened before its first test, closed after its last, and when somebody stops it half way. */

import { basename } from "node:path";
import { after, before } from "node:test";
import { openStage, type Stage, type StageOptions } from "#test/world/stage.ts";

/**
 * Call this once at the top of a test file, `NAME.test.ts`: its stage is named after it.
 * @returns a function that gives the stage, to be called inside of tests
 */
export function flowStage(options: Partial<StageOptions> = {}): () => Stage {
  let opening: Promise<Stage> | undefined;
  let stage: Stage | undefined;
  const close = async (): Promise<void> => {
    const opened = await opening?.catch(() => undefined);
    opening = undefined;
    await opened?.close();
  };
  const stop = (): void => {
    close().then(
      () => process.exit(143),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  before(async () => {
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    opening = openStage({ name: nameOf(process.argv[1] ?? ""), ...options });
    stage = await opening;
  });
  after(async () => {
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
    await close();
  });
  return () => {
    if (stage === undefined) throw new Error("the stage is open only while tests run");
    return stage;
  };
}

/** Names of fleets have at most ten letters and digits. */
function nameOf(file: string): string {
  return basename(file, ".test.ts").replaceAll("-", "").slice(0, 10);
}
