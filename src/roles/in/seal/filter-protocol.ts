/** The lines between smtpd and a filter, protocol 0.7 of OpenSMTPD 7.4 to 7.6: smtpd-filters(7). */

/** smtpd asks and waits for an answer. */
export interface FilterRequest {
  kind: "filter";
  phase: string;
  session: string;
  token: string;
  /** The last field, which may hold anything; lent. */
  parameter: Buffer;
}

/** smtpd tells. */
export interface FilterReport {
  kind: "report";
  event: string;
  session: string;
  /** Everything after the session, one character a byte. */
  rest: string;
}

/** The longest `filter|0.7|…|token|` that is believed. */
const maxPrefixBytes = 200;
const hexadecimal = /^[0-9a-f]{1,16}$/;

/** Null for a line that is none of these, or of another protocol version. */
export function parseFilterLine(line: Buffer): FilterRequest | FilterReport | null {
  const prefix = line.toString("latin1", 0, maxPrefixBytes);
  const fields = prefix.split("|", 7);
  const [kind, version = "", , subsystem, name = "", session = "", token = ""] = fields;
  if (!/^0\.\d+$/.test(version) || subsystem !== "smtp-in" || !hexadecimal.test(session)) return null;
  if (kind === "report") {
    const skipped = fields.slice(0, 6).join("|").length + 1;
    return { kind, event: name, session, rest: line.toString("latin1", skipped) };
  }
  if (kind !== "filter" || !hexadecimal.test(token)) return null;
  const skipped = fields.join("|").length + 1;
  if (skipped > line.length + 1) return null;
  return { kind, phase: name, session, token, parameter: line.subarray(skipped) };
}

/** What the filter says once, when smtpd's configuration lines have ended. */
export function printRegistration(reports: readonly string[], phases: readonly string[]): string {
  const lines = [
    ...reports.map((event) => `register|report|smtp-in|${event}`),
    ...phases.map((phase) => `register|filter|smtp-in|${phase}`),
    "register|ready",
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** `verdict`: null to proceed, else the SMTP reply that refuses. */
export function printResult({ session, token }: FilterRequest, verdict: string | null): string {
  return `filter-result|${session}|${token}|${verdict === null ? "proceed" : `reject|${verdict}`}\n`;
}

/** Lines of a message, none of which starts with a dot. */
export function printDataLines({ session, token }: FilterRequest, lines: readonly string[]): string {
  const prefix = `filter-dataline|${session}|${token}|`;
  return lines.length === 0 ? "" : `${prefix}${lines.join(`\n${prefix}`)}\n`;
}
