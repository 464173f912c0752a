// @ts-check
// What is wrong with the form, each fault at its field and all of them above.
import { $, make } from "../dom.js";
import { say } from "../operator.js";
import { exponent, form, minorUnits } from "./form.js";

/** @import { Fault } from "../../contract.d.ts" */

/** Where a fault is shown: at its field, or at the nearest part around it. @param {string} path */
function placeOf(path) {
  for (let at = path; at.length > 1; at = at.replace(/(\.[^.[\]]+|\[\d+\])$/, "")) {
    const place = withPath(at);
    if (place) return place;
    if (/^\$\.(add|remove)Seats\[\d+\]$/.test(at)) return withPath(`${at}.blocks[0]`);
    if (!/[.[]/.test(at.slice(1))) break;
  }
  return null;
}

/** @param {string} path @returns {HTMLElement | null} */
const withPath = (path) => form.querySelector(`[data-path="${CSS.escape(path)}"]`);

export function forgetFaults() {
  say("");
  for (const fault of form.querySelectorAll(".fault")) fault.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

/** @param {string} title @param {Fault[]} faults */
export function showFaults(title, faults) {
  say(title, faults.map(showFault));
  const first = /** @type {HTMLElement | null} */ (form.querySelector("[aria-invalid]"));
  if (first) first.focus();
  else $("message").focus();
}

/** Show a fault at its field. @param {Fault} fault @param {number} index @returns {HTMLElement} its line for the list above */
function showFault({ path, message, line }, index) {
  const words = line ? `Line ${line}: ${message}` : message;
  const place = placeOf(path);
  if (!place) return make("li", words);
  const isField = place.matches("input, select");
  const note = make("p", words, "fault");
  note.id = `fault-${index}`;
  if (isField) place.after(note);
  else place.append(note);
  const field = isField ? place : place.querySelector("input");
  field?.setAttribute("aria-invalid", "true");
  field?.setAttribute("aria-describedby", note.id);
  const label = isField ? place.closest("label")?.querySelector("span")?.textContent : "";
  return make("li", label ? `${label}: ${words}` : words);
}

/** Empty and ill-formed fields, as faults. @returns {Fault[]} */
export function unfilled() {
  /** @type {Fault[]} */
  const faults = [];
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("input, select"))) {
    const path = field.dataset.path ?? /** @type {HTMLElement | null} */ (field.closest("[data-path]"))?.dataset.path;
    if (path === undefined) continue;
    const isMoney = field.dataset.f === "price" || field.dataset.f === "feeAmount";
    if (isMoney && field.value && Number.isNaN(minorUnits(field.value))) {
      faults.push({ path, message: `a price is a number with at most ${exponent()} digits after the point` });
    } else if (!field.checkValidity()) faults.push({ path, message: field.validationMessage });
  }
  return faults;
}
