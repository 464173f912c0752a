// @ts-check
// The console's list of events.
import { call } from "./api.js";
import { $, copyTemplate } from "./dom.js";
import { enter, watchSignIn } from "./operator.js";
import { count } from "./words.js";

/** @import { DefinedEvent, DefinedEventList } from "../contract.d.ts" */

const when = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const short = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const month = new Intl.DateTimeFormat(undefined, { month: "short" });

const OVER_MS = 12 * 3600_000; // An event that began so long ago is off the fans' list.

/** @param {DefinedEvent} event */
function line(event) {
  const item = copyTemplate("event-template");
  /** @param {string} name */
  const field = (name) => /** @type {HTMLElement} */ (item.querySelector(`[data-f="${name}"]`));
  /** @type {HTMLAnchorElement} */ (item.querySelector("a")).href = `/ops/events/${event.eventId}`;
  const date = new Date(event.date);
  const begins = new Date(event.onSaleAt);
  const begun = begins <= new Date();
  field("day").textContent = String(date.getDate());
  field("month").textContent = month.format(date);
  field("name").textContent = event.name;
  field("where").textContent = event.artist && event.artist !== event.name
    ? `${event.artist} · ${event.venue}`
    : event.venue;
  field("when").textContent = when.format(date);
  const over = Date.now() - date.getTime() > OVER_MS;
  const soldOut = event.sold === event.quantity;
  field("sale").textContent = over ? "Over" : soldOut ? "Sold out" : begun ? "On sale" : `From ${short.format(begins)}`;
  field("sale").classList.add(over || soldOut ? "is-shut" : begun ? "is-open" : "is-slow");
  field("sold").textContent = `${count(event.sold)} of ${count(event.quantity)} sold${
    event.held ? `, ${count(event.held)} held` : ""
  }`;
  return item;
}

let before = 0; // The next page holds the events before this one; 0: there is none.

async function more() {
  /** @type {DefinedEventList} */
  const answer = await call("GET", `/api/ops/events${before ? `?before=${before}` : ""}`);
  $("events").append(...answer.events.map(line));
  before = answer.next ?? 0;
  $("more").hidden = !before;
  $("no-events").hidden = $("events").childElementCount > 0;
}

$("more").addEventListener("click", () => enter(more));
watchSignIn(() => enter(more));
enter(more);
