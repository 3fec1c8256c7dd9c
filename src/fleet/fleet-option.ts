/** The option `--fleet FILE` that every verb takes. */

import { readFile } from "node:fs/promises";
import type { OptionValues } from "#cli/command.ts";
import { PolicyError } from "#core/errors.ts";
import { exists } from "#host/files.ts";
import { type Fleet, parseFleet, parseFleetToBe } from "./definition/definition.ts";

export const fleetOption = { fleet: { type: "string" } } as const;

export function fleetFileOf(options: OptionValues): string {
  return typeof options["fleet"] === "string" ? options["fleet"] : "fleet.yaml";
}

/** @throws PolicyError USAGE when there is no such file; DefinitionError */
export async function readFleet(options: OptionValues): Promise<Fleet> {
  const path = fleetFileOf(options);
  return parseFleet(await readText(path), path);
}

/** The same for a fleet that may have no directory yet. */
export async function readFleetToBe(options: OptionValues): Promise<Fleet> {
  const path = fleetFileOf(options);
  return parseFleetToBe(await readText(path), path);
}

async function readText(path: string): Promise<string> {
  if (!(await exists(path))) {
    throw new PolicyError("USAGE", `there is no "${path}"`, { hint: "name the fleet definition with --fleet FILE" });
  }
  return await readFile(path, "utf8");
}

export function noMore(operands: readonly string[]): void {
  if (operands.length > 0) throw new PolicyError("USAGE", `unexpected argument "${operands[0]}"`);
}
