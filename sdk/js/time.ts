// Vendors' times in a form that the host accepts.

import { excerpt, problem } from "./problems";
import { text } from "./values";

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const CLOCK = String.raw`(?<hour>\d{1,2}):(?<minute>\d\d)(?::(?<second>\d\d)(?:[.,](?<fraction>\d+))?)?`;
const HALF = String.raw`(?: ?(?<half>[ap])\.?m\.?)`;
const ZONE = String.raw`(?: ?\(?(?<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?)\)?)?`;
const DAY_NAME = String.raw`(?:[a-z]{3,9},? +)?`;
const MONTH_NAME = String.raw`(?<month>[a-z]{3,9})\.?`;
/** The spellings of times, the most common first. They are compiled when they are needed. */
const SPELLINGS = [
  // 2026-01-15T12:00:00.5Z and 2026/01/15 12:00
  String.raw`(?<year>\d{4})[-/](?<month>\d\d)[-/](?<day>\d\d)(?:[t ] *${CLOCK}${ZONE})?`,
  // 20260115T120000Z
  String.raw`(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)t(?<hour>\d\d)(?<minute>\d\d)(?<second>\d\d)(?:\.(?<fraction>\d+))?${ZONE}`,
  // Thu, 15 Jan 2026 12:00:00 +0000 and 15/Jan/2026:12:00:00 +0000
  String.raw`${DAY_NAME}(?<day>\d{1,2})[ /-]${MONTH_NAME}[ /-](?<year>\d{4})[:,]? *${CLOCK}${HALF}?${ZONE}`,
  // Jan 15, 2026 12:00:00 PM
  String.raw`${DAY_NAME}${MONTH_NAME} +(?<day>\d{1,2}),? +(?<year>\d{4}),? +(?:at +)?${CLOCK}${HALF}?${ZONE}`,
  // Thu Jan 15 12:00:00 UTC 2026
  String.raw`${DAY_NAME}${MONTH_NAME} +(?<day>\d{1,2}) +${CLOCK}${ZONE} +(?<year>\d{4})`,
  // 1/15/2026 12:00:00 PM, which is American because of the last word
  String.raw`(?<month>\d{1,2})/(?<day>\d{1,2})/(?<year>\d{4}),? +${CLOCK}${HALF}${ZONE}`,
];
const compiled: RegExp[] = [];
/** The date and the time of RFC 3339 in UTC and of the same without an offset, from 1971 to 9998. Most times are such. */
const PLAIN = new RegExp(
  String.raw`^((?!1970|9999)(?:19[7-9]|[2-9]\d\d)\d-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31))` +
    String.raw`[T ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?)Z?$`,
);
const FILETIME_NEVER = "9223372036854775807";
/** The last time and its conversion: mappers, and the checks of their results, read the same one several times. */
let last: { given?: string; converted?: string } = {};

/**
 * Converts a vendor's time to a form that the host accepts: a number of seconds, milliseconds, microseconds, nanoseconds or
 * FILETIME, or RFC 3339. Reads the usual spellings of dates; a missing offset is UTC.
 *
 * Returns undefined for absent text and for times that stand for "never": zero, the first days of the years 1, 1601, 1900
 * and 1970, and the last day of 9999. Any other text that is not a time between 1970 and 9999, such as one with an impossible day, is also reported as
 * a problem.
 */
export function timestamp(time: string | undefined): string | undefined {
  if (time === last.converted || time === last.given) return last.converted;
  const trimmed = text(time);
  if (!trimmed) return undefined;
  const plain = PLAIN.exec(trimmed);
  if (!plain && (/^[0.]+$/.test(trimmed) || trimmed === FILETIME_NEVER)) return undefined;
  const converted = plain ? `${plain[1]}T${plain[2]}Z` : /^[\d.]+(e\+?\d+)?$/i.test(trimmed) ? count(trimmed) : date(trimmed);
  if (converted === undefined) problem(`\`${excerpt(trimmed)}\` is not a time; it is left out`);
  if (converted === undefined || converted === "never") return undefined;
  last = { given: time, converted };
  return converted;
}

/** Returns a number that the host reads as a time between 1970 and 9999. */
function count(text: string): string | undefined {
  const digits = /e/i.test(text) ? String(Number(text)) : text;
  const [, whole = "", fraction] = /^(\d{1,19})(\.\d+)?$/.exec(digits) ?? [];
  if (!whole) return undefined;
  const number = BigInt(whole);
  // FILETIME begins with the year 1601; the host reads numbers of this size as FILETIME.
  if (number >= 100_000_000_000_000_000n && number < 116_444_736_000_000_000n) return undefined;
  // Only seconds may have a fraction.
  return whole + (number < 100_000_000_000n ? fraction ?? "" : "");
}

/** Returns RFC 3339, or `never` for a date that stands for it. */
function date(text: string): string | undefined {
  const parts = spelled(text);
  if (!parts?.year) return undefined;
  const { year, fraction, half, zone = "z" } = parts;
  const month = Number(parts.month) || MONTHS.indexOf(parts.month?.slice(0, 3).toLowerCase() ?? "") + 1;
  const [day, minute, second] = [Number(parts.day), Number(parts.minute ?? 0), Number(parts.second ?? 0)];
  let hour = Number(parts.hour ?? 0);
  if (half) {
    if (hour < 1 || hour > 12) return undefined;
    hour = (hour % 12) + (half.toLowerCase() === "p" ? 12 : 0);
  }
  if (/^(0000|0001|1601|1900)$/.test(year) && month <= 1 && day <= 1) return "never";
  if (Number(year) < 1970 || month < 1 || month > 12 || day < 1 || day > daysOf(Number(year), month)) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const two = (number: number) => String(number).padStart(2, "0");
  const calendar = `${year}-${two(month)}-${two(day)}`;
  if (calendar === "1970-01-01" || calendar === "9999-12-31") return "never";
  // The host's last time is 22 hours before the end of this day.
  if (calendar >= "9999-12-30") return undefined;
  const offset = /^[+-]/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3).replace(":", "") || "00"}` : "Z";
  if (offset !== "Z" && (Number(offset.slice(1, 3)) > 23 || Number(offset.slice(4)) > 59)) return undefined;
  return `${calendar}T${two(hour)}:${two(minute)}:${two(Math.min(second, 59))}${fraction ? `.${fraction}` : ""}${offset}`;
}

/** Returns the parts of a time in the first spelling that fits. */
function spelled(text: string): Record<string, string | undefined> | undefined {
  for (let index = 0; index < SPELLINGS.length; index += 1) {
    const found = (compiled[index] ??= new RegExp(`^${SPELLINGS[index]}$`, "i")).exec(text);
    if (found) return found.groups;
  }
  return undefined;
}

function daysOf(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
