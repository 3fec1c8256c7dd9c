/** What a command line says, as far as the front must know (RFC 5321, section 4.1; RFC 1870 for SIZE). */

export interface Command {
  /** First word in capitals. */
  verb: string;
  /** Everything after the first space, without spaces at its end; "" when there is nothing. */
  argument: string;
}

export function parseCommand(line: string): Command {
  const trimmed = line.replace(/[ \t]+$/, "");
  const space = trimmed.indexOf(" ");
  if (space < 0) return { verb: trimmed.toUpperCase(), argument: "" };
  return { verb: trimmed.slice(0, space).toUpperCase(), argument: trimmed.slice(space + 1) };
}

/**
 * The size that `MAIL FROM:<…> SIZE=n` declares; null without one, "malformed" when it is no number of at most 20
 * digits (RFC 1870, section 4) or stands there twice.
 * @param argument what follows `MAIL `
 */
export function declaredBytes(argument: string): number | null | "malformed" {
  const end = argument.indexOf(">");
  if (end < 0) return null;
  const sizes = argument
    .slice(end + 1)
    .split(/[ \t]+/)
    .filter((parameter) => /^size(?:=|$)/i.test(parameter))
    .map((parameter) => parameter.slice("SIZE=".length));
  const [first] = sizes;
  if (first === undefined) return null;
  if (sizes.length > 1 || !/^\d{1,20}$/.test(first)) return "malformed";
  return Number(first);
}
