/** shoal-submit: takes mail from accounts, checks it and hands it to smtpd. See submit.8.md. */

import { runService } from "#cli/service.ts";
import { readSubmitConfig } from "./config.ts";
import { serve } from "./serve.ts";

await runService(
  {
    name: "shoal-submit",
    does: "take mail from accounts and hand it to smtpd",
    configFile: "/etc/shoal/submit.json",
    read: readSubmitConfig,
    serve,
  },
  process.argv.slice(2),
);
