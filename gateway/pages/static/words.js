// @ts-check
// Numbers, money and time in words.

const plain = new Intl.NumberFormat(undefined);
/** @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? "–" : plain.format(value));

/**
 * @param {string} currency ISO 4217 @param {number} exponent digits of its minor unit
 * @returns {(amount: number) => string} from minor units
 */
export function moneyIn(currency, exponent) {
  const format = new Intl.NumberFormat(undefined, {
    style: "currency",
    currency,
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  return (amount) => format.format(amount / 10 ** exponent);
}

/** @param {number} ms */
export function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/**
 * An estimate as a range wide enough to be true.
 * @param {number | null | undefined} seconds
 * @param {[number, number] | null | undefined} [range] seconds, when the server gives its own
 */
export function eta(seconds, range) {
  if (seconds === null || seconds === undefined) return "We are working out how long it will take";
  const [least, most] = range ?? [(seconds * 4) / 5, (seconds * 4) / 3];
  if (most < 60) return "Less than a minute";
  const low = Math.max(1, Math.floor(least / 60));
  const high = Math.max(low + 1, Math.ceil(most / 60));
  if (high > 120 && low < 60) return `${plural(low, "minute")} to ${Math.ceil(high / 60)} hours`;
  if (high > 120) return `About ${Math.floor(low / 60)}–${Math.ceil(high / 60)} hours`;
  return `About ${low}–${high} minutes`;
}

const hourAndMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
/** @param {string | number} moment */
export const shortTime = (moment) => hourAndMinute.format(new Date(moment));

/**
 * What a waiting fan reads while every seat that is left is in another fan's hands.
 * @param {{held: number, lastHoldEndsAt?: string | null}} stock
 */
export function returnWords({ held, lastHoldEndsAt }) {
  const seats = held === 1 ? "1 seat is" : `${count(held)} seats are`;
  const hands = held === 1 ? "another fan’s hands" : "other fans’ hands";
  const at = lastHoldEndsAt && shortTime(minuteUp(lastHoldEndsAt));
  return `${seats} in ${hands}${at ? ` until ${at} at the latest` : ""}. What comes back goes to the line, in order.`;
}

const SEATS_BACK_MS = 30000; // A checkout under way has some seconds more than the hold; then the seats are freed.
/** Rounded up to a full minute, so that the seats are never back later than said. @param {string} moment @returns {number} ms */
const minuteUp = (moment) => Math.ceil((Date.parse(moment) + SEATS_BACK_MS) / 60000) * 60000;

/** A time to come as a clock, with hours and days where there are any. @param {number} ms */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 3600) return clock(ms);
  const hours = Math.floor(seconds / 3600);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return `${hours}:${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @param {number} n @param {string} one */
export const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

/** @param {{available: number, held: number}} stock */
export const stockWords = ({ available, held }) =>
  available > 0 ? `${count(available)} left` : held > 0 ? `all held; ${count(held)} may return` : "sold out";
