/**
 * Drills: somebody is root on one machine of a real fleet and tries everything. `npm run -s drill -- NAME [--json]`; the last
 * line of standard output is JSON: `attempts`, `succeededAsDocumented`, `unexpected` (which must be 0), `outcomes`.
 */

import { parseArgs } from "node:util";
import { attemptsOf, runDrill } from "./taken/drills.ts";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } });
const [name = ""] = positionals;
if (!Object.hasOwn(attemptsOf, name)) {
  process.stderr.write(
    `usage: npm run -s drill -- NAME [--json]\nNAME is one of ${Object.keys(attemptsOf).join(", ")}\n`,
  );
  process.exit(64);
}
const report = await runDrill(name, (text) => process.stderr.write(`${text}\n`));
if (values.json === true) {
  process.stdout.write(`${JSON.stringify(report)}\n`);
} else {
  const { attempts, succeededAsDocumented, unexpected } = report;
  process.stdout.write(
    `${attempts} attempts, ${succeededAsDocumented} succeeded as documented, ${unexpected} ended otherwise\n`,
  );
}
process.exitCode = report.unexpected === 0 ? 0 : 1;
