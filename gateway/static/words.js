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
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency, minimumFractionDigits: exponent, maximumFractionDigits: exponent });
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
  if (high > 120) return `About ${Math.max(1, Math.floor(low / 60))}–${Math.ceil(high / 60)} hours`;
  return `About ${low}–${high} minutes`;
}

/** @param {number} n @param {string} one */
export const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

/** @param {{available: number, held: number}} stock */
export const stockWords = ({ available, held }) =>
  available > 0 ? `${count(available)} left` : held > 0 ? `all held; ${count(held)} may return` : "sold out";
