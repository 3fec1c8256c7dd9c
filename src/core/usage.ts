/** How many bytes each mailbox holds (docs/formats/recipients.md, "Usage"): told by `fetch`, used by `in` for quotas. */

import { FormatError } from "./errors.ts";
import { isAccountName } from "./mail/address.ts";

const VERSION_LINE = "shoal-usage/v1";
const NUMBER = /^(0|[1-9][0-9]{0,14})$/;

export interface Usage {
  /** When it was measured, Unix time in seconds. */
  readonly time: number;
  readonly bytesByAccount: ReadonlyMap<string, number>;
}

/** Prints usage, sorted by account. @throws FormatError CONFIG for what the format can't say */
export function printUsage({ time, bytesByAccount }: Usage): string {
  const lines = [...bytesByAccount].map(([account, bytes]) => `${account} ${bytes}`);
  // An account's name sorts before those it begins, as the space sorts before all they are made of.
  const text = [VERSION_LINE, `time ${time}`, ...lines.sort()].join("\n");
  parseUsage(`${text}\n`);
  return `${text}\n`;
}

/** @throws FormatError CONFIG with the line number */
export function parseUsage(text: string): Usage {
  const fail = (index: number, expected: string): never => {
    throw new FormatError("CONFIG", `usage: line ${index + 1}: expected ${expected}`);
  };
  const lines = text.split("\n");
  if (lines.pop() !== "") fail(lines.length, "a line end behind the last line");
  if (lines[0] !== VERSION_LINE) fail(0, `"${VERSION_LINE}"`);
  const [keyword, time = "", ...more] = (lines[1] ?? "").split(" ");
  if (keyword !== "time" || !NUMBER.test(time) || more.length > 0) fail(1, '"time SECONDS"');
  const bytesByAccount = new Map<string, number>();
  let previous = "";
  for (const [index, line] of lines.entries()) {
    if (index < 2) continue;
    const [account = "", bytes = "", ...rest] = line.split(" ");
    if (!isAccountName(account) || !NUMBER.test(bytes) || rest.length > 0) fail(index, '"ACCOUNT BYTES"');
    if (account <= previous) fail(index, `an account behind "${previous}", each once and in order`);
    previous = account;
    bytesByAccount.set(account, Number(bytes));
  }
  return { time: Number(time), bytesByAccount };
}
