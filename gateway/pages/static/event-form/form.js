// @ts-check
// The form of an event: its fields, and prices as an operator types them.
import { formOf, readData } from "../dom.js";
import { isSameMinute, momentOf, offerTurns } from "../venue-time.js";
import { isZone, localIn, momentsIn } from "../zones.js";

/** @import { EventDefinition } from "../../contract.d.ts" */

/** The id is null for a new event; `exponents` are the digits of each currency's minor unit. @type {{eventId: number | null, exponents: Record<string, number>}} */
export const data = readData("programme-data");
export const form = formOf("event-form");

/** @param {string} name */
export const input = (name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));

export const currency = () => input("currency").value.trim().toUpperCase();
export const exponent = () => data.exponents[currency()] ?? 2;

/** @param {string} text as typed @returns {number} minor units; NaN for what is no price */
export function minorUnits(text) {
  const parts = /^(\d{1,11})(?:[.,](\d*))?$/.exec(text.trim());
  const digits = exponent();
  if (!parts || (parts[2] ?? "").length > digits) return Number.NaN;
  return Number(parts[1]) * 10 ** digits + Number((parts[2] ?? "").padEnd(digits, "0") || 0);
}

/** @param {number} amount minor units @returns {string} as typed */
export function majorUnits(amount) {
  const digits = exponent();
  if (!digits) return String(amount);
  return `${Math.floor(amount / 10 ** digits)}.${String(amount % 10 ** digits).padStart(digits, "0")}`;
}

export const zone = () => input("timeZone").value.trim();

const TIMES = /** @type {const} */ (["date", "doorsAt", "onSaleAt", "offSaleAt"]);
/** @typedef {typeof TIMES[number]} Time */

/** @param {string} name @returns {name is Time} */
export const isTime = (name) => TIMES.some((time) => time === name);

/** Times that an event need not have. @param {Time} name */
export const mayBeEmpty = (name) => name === "offSaleAt" || name === "doorsAt";

let shownZone = ""; // The zone by whose clock the form shows the event's times.

/** A moment as its field shows it; a sale that ends with the event has an empty end. @param {Time} name @param {EventDefinition} event */
function shownTime(name, event) {
  const at = event[name];
  return !at || (name === "offSaleAt" && at === event.date) ? "" : localIn(at, shownZone);
}

/** Whether the field of a time tells another one. It tells minutes: a time with seconds that nobody touched is the same. @param {Time} name @param {EventDefinition} event */
export function isTimeChanged(name, event) {
  const field = input(name);
  const shown = shownTime(name, event);
  return field.value !== shown || (shown !== "" && !isSameMinute(momentOf(field, shownZone) ?? "", event[name] ?? ""));
}

/** @param {EventDefinition} event @param {string} zone @param {Time[]} [names] all by default */
export function showTimes(event, zone, names = [...TIMES]) {
  shownZone = zone;
  for (const name of names) {
    input(name).value = shownTime(name, event);
    offerTurns(input(name), zone, event[name] ?? undefined);
  }
}

/** The form names another zone: what its clock shows at the event's times. A time that was typed is meant by this clock. @param {EventDefinition} event */
export function followZone(event) {
  if (isZone(zone())) showTimes(event, zone(), TIMES.filter((name) => !isTimeChanged(name, event)));
}

/** Offer the choice beside each time that comes twice. */
export const offerAllTurns = () => TIMES.forEach((name) => offerTurns(input(name), zone()));

/** Say beside a time that the clocks at the venue leave it out. */
export function examineTimes() {
  input("timeZone").setCustomValidity(
    isZone(zone()) ? "" : "There is no such time zone: choose one, e.g. Europe/Berlin.",
  );
  for (const name of TIMES) {
    const { value } = input(name);
    const missing = value && isZone(zone()) && !momentsIn(value, zone()).length;
    input(name).setCustomValidity(missing ? "The clocks at the venue go forward then: this time does not exist." : "");
  }
}
