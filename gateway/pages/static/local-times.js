// @ts-check
// Turns the page's times into the reader's where they are the reader's, and lets a ticket be printed. What each kind of
// time means is told in gateway/pages/times.py.
import { eventWords, namedWords, UNKNOWN_ZONE } from "./moments.js";
import { t } from "./text.js";

/** The day of a moment by the reader's clock, as the beginning of a `datetime`. @param {Date} at */
const dayOf = (at) => new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);

/** How many minutes the clock that wrote a `datetime` is before UTC. @param {string} text */
function minutesOf(text) {
  const parts = /([+-])(\d\d):(\d\d)$/.exec(text);
  return parts ? Number(`${parts[1]}1`) * (Number(parts[2]) * 60 + Number(parts[3])) : 0;
}

for (const element of /** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[data-time]"))) {
  const { short, time } = element.dataset;
  const at = new Date(element.dateTime);
  if (time === "venue" || Number.isNaN(at.getTime())) continue;
  const readers = namedWords(at, short === undefined ? "full" : "day");
  if (time === "reader") element.textContent = readers;
  else if (minutesOf(element.dateTime) !== -at.getTimezoneOffset()) {
    const venues = element.textContent ?? "";
    const sameDay = dayOf(at) === element.dateTime.slice(0, 10);
    element.textContent = t("{reader} ({venue} at the venue)", {
      reader: readers,
      venue: sameDay ? venues.replace(/^.*, /, "") : venues,
    });
  }
}

for (const box of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-day]"))) {
  const { day, month } = eventWords(box.dataset.day ?? "", UNKNOWN_ZONE);
  box.replaceChildren(...[["b", day], ["span", month]].map(([tag, words]) => {
    const element = document.createElement(tag);
    element.textContent = words;
    return element;
  }));
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.removeAttribute("hidden");
  button.addEventListener("click", () => window.print());
}
