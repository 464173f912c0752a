// @ts-check
// The form of an event: its fields, and prices as an operator types them.
import { formOf, readData } from "../dom.js";

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

/** A moment as a datetime-local field has it. @param {string} moment */
export function localMinutes(moment) {
  const date = new Date(moment);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
