// @ts-check
// The lines of the console's lists: what stands first, what is said of it below, and buttons.
import { make } from "./dom.js";

/** @param {string} words @param {string} about @param {HTMLElement[]} beside */
export function line(words, about, ...beside) {
  const box = make("div");
  box.append(make("b", words), make("p", about, "muted small"));
  const item = make("li");
  const buttons = make("div", "", "row-of-buttons");
  buttons.append(...beside);
  item.append(box, buttons);
  return item;
}

/** @param {string} words @param {string} label what it is told as to a screen reader @param {() => unknown} act */
export function lineButton(words, label, act) {
  const made = make("button", words, "button plain");
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => act());
  return made;
}
