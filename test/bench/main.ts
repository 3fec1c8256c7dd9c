/**
 * Measurements, each against a peer in the same run. `npm run -s bench -- NAME [--json]`; the last line of standard output is
 * JSON. Nothing here is a test: figures depend on the machine, ratios less.
 */

import { parseArgs } from "node:util";

const benches: Record<string, () => Promise<Record<string, unknown>>> = {
  inbound: async () => await (await import("./inbound.ts")).benchInbound(),
  accounts: async () => await (await import("./accounts.ts")).benchAccounts(),
  connections: async () => await (await import("./inbound.ts")).benchConnections(),
  ledger: async () => {
    const figures = await (await import("./ledger.ts")).benchLedger();
    const { benchInbound } = await import("./inbound.ts");
    return { ...figures, inboundRatio: (await benchInbound())["ratio"] ?? Number.NaN };
  },
  seal: async () => await (await import("./seal.ts")).benchSeal(),
  sync: async () => await (await import("./sync.ts")).benchSync(),
  outbound: async () => await (await import("./outbound.ts")).benchOutbound(),
  machines: async () => await (await import("./machines.ts")).benchMachines(),
  watch: async () => await (await import("./watch.ts")).benchWatch(),
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } });
const [name = ""] = positionals;
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench === undefined) {
  process.stderr.write(`usage: npm run -s bench -- NAME [--json]\nNAME is one of ${Object.keys(benches).join(", ")}\n`);
  process.exit(64);
}
const figures = await bench();
if (values.json !== true) {
  for (const [key, value] of Object.entries(figures)) {
    process.stdout.write(
      `${key.padEnd(28)} ${typeof value === "number" ? Number(value.toPrecision(4)) : JSON.stringify(value)}\n`,
    );
  }
} else {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
