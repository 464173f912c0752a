// @ts-check
// What the form sends: a new event whole, or the changes of one that the server has.
import { inputOf } from "../dom.js";
import { currency, input, localMinutes } from "./form.js";

/** @import { EventDefinition } from "../../contract.d.ts" */
/** @import { TicketType } from "./ticket-type.js" */

export const FACTS = /** @type {const} */ ([
  "name",
  "artist",
  "venue",
  "date",
  "onSaleAt",
  "currency",
  "seatsPerFanMax",
]);
const ROOM = ["state", "ratePerMinute", "capacity", "lineCap", "lobbyMinutes"];

/** @typedef {typeof FACTS[number]} Fact */

/** @param {Fact} name */
export const isTime = (name) => name === "date" || name === "onSaleAt";

/** @param {Fact} name */
function valueOf(name) {
  const value = input(name).value.trim();
  if (isTime(name)) return value ? new Date(value).toISOString() : "";
  return name === "seatsPerFanMax" ? Number(value) : name === "currency" ? currency() : value;
}

/** @param {TicketType[]} types */
export async function newEvent(types) {
  types.forEach((type, index) => type.placeAt(`$.ticketTypes[${index}]`));
  const csv = inputOf("csv").files?.[0];
  return {
    ...Object.fromEntries(FACTS.map((name) => [name, valueOf(name)])),
    ticketTypes: types.map((type) => ({ ...type.facts, blocks: type.blocks(false) })),
    csv: csv ? await csv.text() : "",
    room: Object.fromEntries(
      ROOM.map((name) => [name, name === "state" ? input(name).value : input(name).valueAsNumber]),
    ),
    why: input("why").value.trim(),
  };
}

/** @param {EventDefinition} event as the server has it @param {TicketType[]} types */
export function changes(event, types) {
  const facts = FACTS.filter((name) =>
    // A field tells minutes: a time with seconds that nobody touched is left as it is.
    isTime(name) ? input(name).value !== localMinutes(String(event[name])) : valueOf(name) !== event[name]
  );
  const kept = types.filter((type) => type.known && !type.going);
  const changed = kept.filter((type) => type.changed);
  const fresh = types.filter((type) => !type.known);
  const going = types.filter((type) => type.going);
  const added = kept.filter((type) => type.elements(false).length);
  const removed = kept.filter((type) => type.elements(true).length);
  kept.forEach((type) =>
    type.placeAt(
      `$.ticketTypes[${changed.indexOf(type)}]`,
      `$.addSeats[${added.indexOf(type)}].blocks`,
      `$.removeSeats[${removed.indexOf(type)}].blocks`,
    )
  );
  going.forEach((type, index) => type.placeAt(`$.removeTicketTypes[${index}]`));
  fresh.forEach((type, index) => type.placeAt(`$.addTicketTypes[${index}]`));
  return {
    revision: event.revision,
    why: input("why").value.trim(),
    ...Object.fromEntries(facts.map((name) => [name, valueOf(name)])),
    ticketTypes: changed.map((type) => ({ ticketTypeId: type.known?.ticketTypeId, ...type.facts })),
    addTicketTypes: fresh.map((type) => ({ ...type.facts, blocks: type.blocks(false) })),
    removeTicketTypes: going.map((type) => type.known?.ticketTypeId),
    addSeats: added.map((type) => ({ ticketTypeId: type.known?.ticketTypeId, blocks: type.blocks(false) })),
    removeSeats: removed.map((type) => ({ ticketTypeId: type.known?.ticketTypeId, blocks: type.blocks(true) })),
  };
}
