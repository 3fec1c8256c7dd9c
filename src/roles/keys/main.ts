/** shoal-keys: what users hand in goes to the ledger, and its answers to them. See keys.8.md. */

import { runService } from "#cli/service.ts";
import { readKeysConfig } from "./config.ts";
import { serve } from "./serve.ts";

await runService(
  {
    name: "shoal-keys",
    does: "carry proposals to the ledger and answers back",
    configFile: "/etc/shoal/keys.json",
    read: readKeysConfig,
    serve,
  },
  process.argv.slice(2),
);
