/** What machines of the fleet do for a check: `out` looks at the world, `spam-in` judges as a stranger would. */

import * as v from "valibot";
import { FormatError, HostError } from "#core/errors.ts";
import { execInCell } from "#fleet/cell/cell.ts";
import { judge } from "#fleet/roles/spam-in.ts";
import { resultsSchema, type TrialResult, type TrialTask } from "#roles/out/trial/exchange.ts";

const TRIAL_SECONDS = 180;
const VERDICT_SECONDS = 60;

export interface CheckMachines {
  /** Has a machine `out` do the tasks; results in the same order. @throws HostError EXEC; FormatError CONFIG */
  run(machine: string, tasks: readonly TrialTask[]): Promise<TrialResult[]>;
  /** What rspamd says of messages, in the same order. @throws HostError EXEC; FormatError CONFIG */
  judge(arrivals: readonly Arrival[]): Promise<Verdict[]>;
}

/** How a message comes to a stranger's mail server. */
export interface Arrival {
  message: Buffer;
  address: string;
  heloName: string;
  sender: string;
}

/** Symbols of rspamd, with their options. */
export type Verdict = ReadonlyMap<string, readonly string[]>;

const verdictSchema = v.looseObject({
  symbols: v.record(v.string(), v.looseObject({ options: v.optional(v.array(v.string()), []) })),
});

/**
 * Reads lines "address name sender message", the message in base64. An rspamd of its own: the one that judges strangers' mail
 * remembers what it has read in DNS, and says nothing about mail from private addresses, which those of a test world are.
 */
const judgeScript = `set -e -o pipefail
rspamd -f -u _rspamd -g _rspamd -c ${judge.configFile} >/dev/null 2>&1 &
trap "kill $! && wait $! || true" EXIT
until (exec 3<>/dev/tcp/127.0.0.1/${judge.port}) 2>/dev/null; do kill -0 $!; sleep 0.1; done
while read -r address name sender message; do
  base64 -d <<<"$message" |
    rspamc --json --compact --connect 127.0.0.1:${judge.port} --ip "$address" --helo "$name" --from "$sender" symbols
  echo
done
`;

/** @param judgeMachine a machine `spam-in` */
export function checkMachines(network: string, judgeMachine: string): CheckMachines {
  const run = async (machine: string, command: readonly string[], input: string, seconds: number): Promise<string> => {
    const { status, stdout, stderr } = await execInCell(network, machine, command, { input, timeoutSeconds: seconds });
    if (status !== 0) throw new HostError("EXEC", `the check fails on "${machine}": ${stderr.trim().slice(-500)}`);
    return stdout.toString("utf8");
  };
  return {
    async run(machine, tasks) {
      const command = ["chpst", "-u", "shoal-submit", "node", "/usr/lib/shoal/shoal-trial.mjs", "run"];
      const said = await run(machine, command, JSON.stringify(tasks), TRIAL_SECONDS);
      const results = v.safeParse(resultsSchema, parseJson(machine, said));
      if (!results.success || results.output.length !== tasks.length) throw odd(machine);
      return results.output;
    },
    async judge(arrivals) {
      const lines = arrivals.map(
        ({ message, address, heloName, sender }) => `${address} ${heloName} ${sender} ${printMessage(message)}\n`,
      );
      const said = await run(judgeMachine, ["bash", "-c", judgeScript], lines.join(""), VERDICT_SECONDS);
      const verdicts = said.split("\n").filter((line) => line !== "");
      if (verdicts.length !== arrivals.length) throw odd(judgeMachine);
      return verdicts.map((line) => {
        const verdict = v.safeParse(verdictSchema, parseJson(judgeMachine, line));
        if (!verdict.success) throw odd(judgeMachine);
        return new Map(Object.entries(verdict.output.symbols).map(([symbol, { options }]) => [symbol, options]));
      });
    },
  };
}

/** Base64, with the line ends that rspamd's own client sends. */
function printMessage(message: Buffer): string {
  return Buffer.from(message.toString("latin1").replaceAll("\r\n", "\n"), "latin1").toString("base64");
}

function parseJson(machine: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw odd(machine);
    throw cause;
  }
}

function odd(machine: string): FormatError {
  return new FormatError("CONFIG", `"${machine}" answers something else than was asked`, {
    hint: "`shoalctl up` gives all machines the same version",
  });
}
