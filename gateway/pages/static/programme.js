// @ts-check
// The console's list of events.
import { below } from "./addresses.js";
import { call } from "./api.js";
import { $, copyTemplate, make } from "./dom.js";
import { eventWords } from "./moments.js";
import { enter, watchSession, watchSignIn } from "./operator.js";
import { showSale } from "./sale-words.js";
import { count } from "./text.js";

/** @import { DefinedEvent, DefinedEventList } from "../contract.d.ts" */

/** @param {DefinedEvent} event */
function line(event) {
  const item = copyTemplate("event-template");
  /** @param {string} name */
  const field = (name) => /** @type {HTMLElement} */ (item.querySelector(`[data-f="${name}"]`));
  /** @type {HTMLAnchorElement} */ (item.querySelector("a")).href = below(`/ops/events/${event.eventId}`);
  const { words, day, month } = eventWords(event.date, event.timeZone);
  field("day").textContent = day;
  field("month").textContent = month;
  // The nights of a tour have one name: when and where come first.
  field("when").textContent = words;
  field("venue").textContent = event.venue;
  field("name").append(
    ...[event.name, ...(event.artist && event.artist !== event.name ? [event.artist] : [])].flatMap((name, index) =>
      index ? [" · ", make("bdi", name)] : [make("bdi", name)]
    ),
  );
  showSale(field("sale"), event, event.sold === event.quantity);
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
watchSession("view");
enter(more);
