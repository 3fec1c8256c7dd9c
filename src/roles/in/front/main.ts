/** shoal-front: the only program that the world's mail servers talk to. See front.8.md. */

import { complain, say } from "#cli/terminal.ts";
import { exitStatusOf } from "#host/exit.ts";
import { giveUpPowers } from "#host/powers.ts";
import { readFrontConfig } from "../config.ts";
import { startFront } from "./server.ts";
import { loadTls } from "./tls.ts";

const name = "shoal-front";

try {
  giveUpPowers();
  const config = await readFrontConfig(process.argv[2] ?? "/etc/shoal/front.json");
  const context = await loadTls(config.tls.certificate, config.tls.key);
  await startFront(config, context, (text) => say(name, text));
  say(name, "ready");
} catch (error) {
  complain(name, error);
  process.exit(exitStatusOf(error));
}
