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
const maxPrefixBytes = 128;
const hexadecimal = /^[0-9a-f]{1,16}$/;

/** Null for a line that is none of these, or of another protocol. Called for each line of each message. */
export function parseFilterLine(line: Buffer): FilterRequest | FilterReport | null {
  const prefix = line.toString("latin1", 0, Math.min(maxPrefixBytes, line.length));
  const isFilter = prefix.startsWith("filter|0.");
  if (!isFilter && !prefix.startsWith("report|0.")) return null;
  // kind|version|time|subsystem|name|session|token|…
  const nameAt = afterBar(prefix, afterBar(prefix, "filter|0.".length)) + "smtp-in|".length;
  const sessionAt = afterBar(prefix, nameAt);
  const sessionEnd = endOfField(prefix, sessionAt);
  if (prefix.slice(nameAt - "smtp-in|".length, nameAt) !== "smtp-in|") return null;
  const name = prefix.slice(nameAt, sessionAt - 1);
  const session = prefix.slice(sessionAt, sessionEnd);
  if (!hexadecimal.test(session)) return null;
  if (!isFilter) return { kind: "report", event: name, session, rest: line.toString("latin1", sessionEnd + 1) };
  const tokenEnd = endOfField(prefix, sessionEnd + 1);
  const token = prefix.slice(sessionEnd + 1, tokenEnd);
  if (!hexadecimal.test(token)) return null;
  return { kind: "filter", phase: name, session, token, parameter: line.subarray(tokenEnd + 1) };
}

function endOfField(text: string, from: number): number {
  const bar = text.indexOf("|", from);
  return bar < 0 ? text.length : bar;
}

function afterBar(text: string, from: number): number {
  return endOfField(text, from) + 1;
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
