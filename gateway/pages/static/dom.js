// @ts-check
// How every page finds and makes its elements.

/** @param {string} id */
export const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} id */
export const buttonOf = (id) => /** @type {HTMLButtonElement} */ ($(id));

/** @param {string} id */
export const inputOf = (id) => /** @type {HTMLInputElement} */ ($(id));

/** @param {string} id */
export const formOf = (id) => /** @type {HTMLFormElement} */ ($(id));

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {string} [text] @param {string} [className]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** Set a text only where it differs: a screen reader would read the same text again. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A fresh copy of a template's one element. @param {string} id */
export function copyTemplate(id) {
  const template = /** @type {HTMLTemplateElement} */ ($(id));
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}

/** A progress bar from 0 to 1000. @param {string} id @param {number} thousandths */
export const setProgress = (id, thousandths) => $(id).setAttribute("value", String(Math.round(thousandths)));

/** The data that the server wrote into the page. @param {string} id */
export const readData = (id) => JSON.parse($(id).textContent ?? "{}");
