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

/**
 * What the line is told while every seat left is in somebody's hands.
 * @param {{held: number, lastHoldEndsAt?: string | null}} stock
 */
export function returnWords({ held, lastHoldEndsAt }) {
  const seats = held === 1 ? "1 seat is" : `${count(held)} seats are`;
  const hands = held === 1 ? "another fan’s hands" : "other fans’ hands";
  const at = lastHoldEndsAt &&
    new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(minuteUp(lastHoldEndsAt));
  return `${seats} in ${hands}${at ? ` until ${at} at the latest` : ""}. What comes back goes to the line, in order.`;
}

const SEATS_BACK_MS = 30000; // A checkout on its way has some seconds more than the hold, then the seats are swept up.
/** @param {string} moment @returns {number} a full minute by which the seats are back, so that none is later than told */
const minuteUp = (moment) => Math.ceil((Date.parse(moment) + SEATS_BACK_MS) / 60000) * 60000;

/** A time to come as a clock, with hours and days where there are any. @param {number} ms */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 3600) return clock(ms);
  const hours = Math.floor(seconds / 3600);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return `${hours}:${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

/** What befell a fan, in words, by the receipt's reason. @type {Record<string, string>} */
export const REASONS = {
  joined_lobby: "You entered the lobby.",
  drawn: "Your place was drawn.",
  joined: "You joined the line.",
  restored: "We restored your place after a fault on our side.",
  access_code: "You used an access code: you wait in the priority line.",
  called: "It was your turn: you were called.",
  claim_missed: "You did not come in time when called. You kept your place, this once.",
  claim_missed_again: "You did not come in time when called again, so your place ended.",
  skipped_absent: "You were away when your turn came; others went first. Your place was kept for a while.",
  came_back: "You were back, at your old place.",
  claimed: "You went in.",
  no_line: "You went straight in, for nobody was waiting.",
  left: "You left.",
  bought: "You bought your tickets.",
  pass_ended: "Your time inside ended.",
  absent_too_long: "You were away too long after your turn, so your place ended.",
};

/** @param {number} n @param {string} one */
export const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

/** @param {{available: number, held: number}} stock */
export const stockWords = ({ available, held }) =>
  available > 0 ? `${count(available)} left` : held > 0 ? `all held; ${count(held)} may return` : "sold out";
