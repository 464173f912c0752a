// @ts-check
// A field of a time by a venue's clock. In autumn an hour comes twice: the operator then chooses which is meant.
import { make } from "./dom.js";
import { eventWords } from "./moments.js";
import { momentsIn } from "./zones.js";

/** The choice beside a field whose time comes twice. @type {WeakMap<HTMLInputElement, HTMLSelectElement>} */
const choices = new WeakMap();

/**
 * Offer the choice beside the field if its time comes twice, and take it away if not.
 * @param {HTMLInputElement} field @param {string} zone IANA's name @param {string} [meant] the moment that the field shows
 */
export function offerTurns(field, zone, meant) {
  const moments = momentsIn(field.value, zone);
  const before = choices.get(field);
  if (moments.length === 2 && before && !meant) return;
  before?.remove();
  choices.delete(field);
  if (moments.length < 2) return;
  const choice = make("select");
  choice.setAttribute("aria-label", "The clocks go back then and show this time twice. Which one is meant?");
  const names = ["First", "Second"];
  choice.append(...moments.map((moment, turn) => new Option(`${names[turn]}: ${eventWords(moment, zone).words}`)));
  choice.selectedIndex = meant && isSameMinute(meant, moments[1]) ? 1 : 0;
  choices.set(field, choice);
  field.after(choice);
}

/** @param {HTMLInputElement} field @param {string} zone @returns {string | null} null where it tells no moment */
export function momentOf(field, zone) {
  const moments = momentsIn(field.value, zone);
  return moments[choices.get(field)?.selectedIndex ?? 0] ?? moments[0] ?? null;
}

/** Fields tell minutes. @param {string} one @param {string} other */
export const isSameMinute = (one, other) =>
  Math.floor(Date.parse(one) / 60_000) === Math.floor(Date.parse(other) / 60_000);
