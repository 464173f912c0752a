// @ts-check
// A question in the middle of the page, which the fan answers before anything happens.
import { make } from "../dom.js";

/**
 * @template {string} Choice
 * @param {string} title @param {string} words @param {[Choice, string][]} choices each with the words on its button; the
 *   first is the one that is advised
 * @returns {Promise<Choice | "">} empty where the fan turned away
 */
export function question(title, words, choices) {
  const dialog = make("dialog");
  const form = make("form", "", "fields");
  form.method = "dialog";
  const heading = make("h2", title);
  heading.id = "question-title";
  dialog.setAttribute("aria-labelledby", heading.id);
  const actions = make("div", "", "actions");
  choices.forEach(([value, text], index) => {
    const button = make("button", text, index ? "button quiet" : "button");
    button.value = value;
    actions.append(button);
  });
  form.append(heading, make("p", words), actions);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(/** @type {Choice | ""} */ (dialog.returnValue));
    });
  });
}
