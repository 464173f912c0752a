// @ts-check
// Moments in words: by the reader's clock, or by a venue's.
import { locale } from "./text.js";

const CLOCK = /** @type {const} */ ({ hour: "numeric", minute: "2-digit" });
const SECONDS = /** @type {const} */ ({ ...CLOCK, second: "2-digit" });
const DAY = /** @type {const} */ ({ day: "numeric", month: "short" });
const FORMS = /** @type {const} */ ({
  clock: CLOCK,
  seconds: SECONDS,
  date: { ...DAY, year: "numeric", ...CLOCK },
  day: { ...DAY, ...CLOCK },
  daySeconds: { ...DAY, ...SECONDS },
  full: { weekday: "short", ...DAY, year: "numeric", ...CLOCK },
});

/** @typedef {keyof typeof FORMS} Form */

/** The name of a zone that is not known, as the server says it: such a moment is shown by the reader's clock. */
export const UNKNOWN_ZONE = "UTC";

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** @param {Form} form @param {string} [zone] the venue's, whose name is then added; without one the reader's @param {boolean} [named] */
function formatOf(form, zone, named) {
  const key = `${form} ${zone} ${named}`;
  let format = formats.get(key);
  if (!format) {
    /** @type {Intl.DateTimeFormatOptions} */
    const options = { ...FORMS[form], ...(named ? { timeZoneName: "short" } : {}) };
    try {
      format = new Intl.DateTimeFormat(locale, { ...options, timeZone: zone });
    } catch {
      // This browser is too old to know the zone.
      format = new Intl.DateTimeFormat(locale, { ...options, timeZone: UNKNOWN_ZONE });
    }
    formats.set(key, format);
  }
  return format;
}

/** A moment by the reader's clock. @param {string | number | Date} at @param {Form} form */
export const momentWords = (at, form) => formatOf(form).format(new Date(at));

/** As `momentWords`, with the name of the reader's zone. @param {string | number | Date} at @param {Form} form */
export const namedWords = (at, form) => formatOf(form, undefined, true).format(new Date(at));

/**
 * When an event begins, by the clock of its venue, with the day and the month for a date box, which are never others.
 * @param {string} at @param {string} zone @returns {{words: string, day: string, month: string}}
 */
export function eventWords(at, zone) {
  const format = formatOf("full", zone === UNKNOWN_ZONE ? undefined : zone, true);
  const parts = format.formatToParts(new Date(at));
  /** @param {string} wanted */
  const part = (wanted) => parts.find(({ type }) => type === wanted)?.value ?? "";
  return { words: parts.map(({ value }) => value).join(""), day: part("day"), month: part("month") };
}
