// @ts-check
// Suggestions while a fan types into the search of events: a combobox with a listbox, as ARIA 1.2 describes it. The
// browser's own datalist would hide each guess that does not contain the letters typed. Without scripts the form alone
// searches.

import { below } from "./addresses.js";
import { $, inputOf, make } from "./dom.js";

/** @import { EventList } from "../contract.d.ts" */

const PAUSE_MS = 150;
const LETTERS_MIN = 2;

const field = inputOf("q");
const list = $("suggestions");
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let asked = field.value.trim();
/** Which of the suggestions is chosen; -1: none, and the text stands as it was typed. */
let chosen = -1;

field.setAttribute("role", "combobox");
field.setAttribute("aria-autocomplete", "list");
field.setAttribute("aria-controls", list.id);
show(false);

async function suggest() {
  const text = field.value.trim();
  if (text === asked) return;
  asked = text;
  if (text.length < LETTERS_MIN) {
    fill([]);
    return;
  }
  const query = new URLSearchParams({ q: text, suggest: "true", sort: "relevance", limit: "1" });
  // A shared cache may have the answer; where there is none, the fan goes on typing.
  const response = await fetch(below(`/api/events?${query}`)).catch(() => null);
  if (!response?.ok || text !== asked) return;
  const answer = /** @type {EventList} */ (await response.json());
  if (text === asked) fill((answer.suggestions ?? []).map((one) => one.text));
}

/** @param {string[]} texts */
function fill(texts) {
  list.replaceChildren(...texts.map((text, place) => {
    const option = make("li", text);
    option.id = `suggestion-${place}`;
    option.dir = "auto";
    option.setAttribute("role", "option");
    return option;
  }));
  choose(-1);
  show(texts.length > 0 && document.activeElement === field);
}

/** @param {boolean} open */
function show(open) {
  list.hidden = !open;
  field.setAttribute("aria-expanded", String(open));
  if (!open) choose(-1);
}

/** @param {number} place */
function choose(place) {
  chosen = place;
  [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === place)));
  const option = list.children[place];
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
}

/** Write the chosen suggestion into the field. @param {Element | undefined} option */
function take(option) {
  if (option) field.value = asked = option.textContent ?? "";
  show(false);
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => void suggest(), PAUSE_MS);
});

field.addEventListener("keydown", (event) => {
  const count = list.children.length;
  if (event.isComposing || !count) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    // Beyond either end stands the text as it was typed.
    const place = chosen + step;
    const next = place < -1 ? count - 1 : place;
    show(true);
    choose(next < count ? next : -1);
  } else if (list.hidden) {
    return;
  } else if (event.key === "Escape") {
    event.preventDefault();
    show(false);
  } else if (event.key === "Enter") {
    // The form is sent with it.
    take(list.children[chosen]);
  }
});

field.addEventListener("blur", () => show(false));
// A press must not take the focus from the field, which would close the list before the click.
list.addEventListener("pointerdown", (event) => event.preventDefault());
list.addEventListener("mousedown", (event) => event.preventDefault());
list.addEventListener("click", (event) => {
  const option = /** @type {Element} */ (event.target).closest("[role=option]");
  if (!option) return;
  take(option);
  field.form?.requestSubmit();
});
