/** Dates in header fields (RFC 5322 sections 3.3 and 4.3), old forms included. */

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const ZONES: Readonly<Record<string, number>> = {
  edt: -240,
  est: -300,
  cdt: -300,
  cst: -360,
  mdt: -360,
  mst: -420,
  pdt: -420,
  pst: -480,
};
const DATE =
  /^(?:[A-Za-z]{3,9},? ?)?(\d{1,2}) ([A-Za-z]{3})[a-z]{0,6} (\d{2,4}) (\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d{1,9})? ?(?:([+-])(\d{2})(\d{2})|([A-Za-z]{1,5}))?/;
/** No date is longer, comments included. */
const MAX_CHARACTERS = 200;

/** Unix seconds, or null for what is no date. An unknown zone counts as UTC, as the RFC says. */
export function parseMessageDate(value: string): number | null {
  const text = value
    .slice(0, MAX_CHARACTERS)
    .replace(/\([^()]*\)/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  const match = DATE.exec(text);
  if (match === null) return null;
  const [, day, monthName, yearDigits = "", hour, minute, second, sign, zoneHours, zoneMinutes, zone = ""] = match;
  const month = MONTHS.indexOf((monthName ?? "").toLowerCase());
  const time = Date.UTC(fullYear(yearDigits), month, Number(day), Number(hour), Number(minute), Number(second ?? 0));
  const wrong = month < 0 || Number(day) < 1 || Number(day) > 31 || Number(hour) > 23 || Number(minute) > 59;
  if (wrong || Number(second ?? 0) > 60 || Number.isNaN(time)) return null;
  const offset = Number(zoneHours ?? 0) * 60 + Number(zoneMinutes ?? 0);
  const minutes = sign === undefined ? (ZONES[zone.toLowerCase()] ?? 0) : sign === "-" ? -offset : offset;
  return time / 1000 - minutes * 60;
}

/** When a machine took the message: what stands behind the last semicolon of a Received field. */
export function parseReceivedDate(value: string): number | null {
  const semicolon = value.lastIndexOf(";");
  return semicolon < 0 ? null : parseMessageDate(value.slice(semicolon + 1));
}

function fullYear(digits: string): number {
  const year = Number(digits);
  if (digits.length >= 4) return year;
  return digits.length === 2 && year < 50 ? 2000 + year : 1900 + year;
}
