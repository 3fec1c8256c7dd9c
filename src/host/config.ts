/** JSON configuration of a program, checked against a schema at the boundary. */

import * as v from "valibot";
import { FormatError } from "#core/errors.ts";
import { readBounded } from "./files.ts";

const maxConfigBytes = 1024 * 1024;

/** @throws FormatError CONFIG naming every mistake */
export async function readConfig<Schema extends v.GenericSchema>(
  schema: Schema,
  file: string,
): Promise<v.InferOutput<Schema>> {
  const text = (await readBounded(file, maxConfigBytes)).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError("CONFIG", `"${file}" is not JSON`, { cause });
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const mistakes = result.issues.map((issue) => `"${file}": ${v.getDotPath(issue) ?? "top"}: ${issue.message}`);
  throw new FormatError("CONFIG", mistakes.join("\n"));
}
