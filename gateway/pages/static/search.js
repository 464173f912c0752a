// @ts-check
// Suggestions while a fan types into the search of events. Without scripts the form alone searches.

import { below } from "./addresses.js";
import { $, inputOf, make } from "./dom.js";

/** @import { EventList } from "../contract.d.ts" */

const PAUSE_MS = 150;
const LETTERS_MIN = 2;

const field = inputOf("q");
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let asked = field.value.trim();

async function suggest() {
  const text = field.value.trim();
  if (text.length < LETTERS_MIN || text === asked) return;
  asked = text;
  const query = new URLSearchParams({ q: text, suggest: "true", sort: "relevance", limit: "1" });
  // A shared cache may have the answer; where there is none, the fan goes on typing.
  const response = await fetch(below(`/api/events?${query}`)).catch(() => null);
  if (!response?.ok || text !== asked) return;
  const answer = /** @type {EventList} */ (await response.json());
  $("suggestions").replaceChildren(...(answer.suggestions ?? []).map((one) => {
    const option = make("option");
    option.value = one.text;
    return option;
  }));
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => void suggest(), PAUSE_MS);
});
