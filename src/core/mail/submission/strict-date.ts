/** Dates as RFC 5322 section 3.3 wants them written, and the one form in which they leave. */

import { FieldScanner } from "./field-scanner.ts";
import { mistake } from "./mistake.ts";
import type { StrictField } from "./strict-header.ts";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DATE =
  /(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun), *)?([0-9]{1,2}) +([A-Z][a-z]{2}) +([0-9]{4}) +([0-9]{2}):([0-9]{2})(?::([0-9]{2}))? +(?:([+-])([0-9]{2})([0-9]{2})|(?:GMT|UTC?|Z)(?![A-Za-z]))/y;
const EXPECTED = 'a date such as "Fri, 15 Jan 2027 08:00:00 +0000"';

/**
 * The instant, in Unix seconds. A comment behind the zone is passed over.
 * @throws FormatError SUBMISSION: another form, a day that does not exist, the wrong name of a day
 */
export function parseStrictDate(field: StrictField): number {
  const scanner: FieldScanner = new FieldScanner(field);
  const text = scanner.take(DATE);
  if (text === undefined) scanner.fail(EXPECTED);
  scanner.skip();
  if (!scanner.atEnd) scanner.fail("nothing behind the zone");
  DATE.lastIndex = 0;
  const [, dayName, day, monthName = "", year, hour, minute, second, sign, zoneHours, zoneMinutes] =
    DATE.exec(text) ?? [];
  const month = MONTHS.indexOf(monthName);
  const midnight = Date.UTC(Number(year), month, Number(day));
  const date = new Date(midnight);
  const exists = date.getUTCMonth() === month && date.getUTCDate() === Number(day) && Number(year) >= 1900;
  const offset = Number(zoneHours ?? 0) * 60 + Number(zoneMinutes ?? 0);
  // A leap second counts as the second behind it, as everywhere in Unix.
  const inRange = Number(hour) < 24 && Number(minute) < 60 && Number(second ?? 0) <= 60;
  if (!exists || !inRange || Number(zoneMinutes ?? 0) > 59 || Number(zoneHours ?? 0) > 23) {
    throw mistake(field.place, `${field.name}: no such time: expected ${EXPECTED}`);
  }
  const expectedDay = DAYS[date.getUTCDay()] ?? "";
  if (dayName !== undefined && dayName !== expectedDay) {
    throw mistake(field.place, `${field.name}: found ${dayName}: that day is a ${expectedDay}`);
  }
  const seconds = midnight / 1000 + Number(hour) * 3600 + Number(minute) * 60 + Number(second ?? 0);
  const instant = seconds - (sign === "-" ? -offset : offset) * 60;
  // A zone can lead out of the years that are written with four digits.
  const leaves = new Date(instant * 1000).getUTCFullYear();
  if (leaves >= 1900 && leaves <= 9999) return instant;
  throw mistake(field.place, `${field.name}: no such time: expected ${EXPECTED}`);
}

/** In UTC: `Fri, 15 Jan 2027 08:00:00 +0000`. */
export function printDate(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toUTCString().replace("GMT", "+0000");
}
