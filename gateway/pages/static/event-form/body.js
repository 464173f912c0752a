// @ts-check
// What the form sends: a new event whole, or the changes of one that the server has.
import { inputOf } from "../dom.js";
import { momentOf } from "../venue-time.js";
import { currency, input, isTime, isTimeChanged, mayBeEmpty, zone } from "./form.js";
import { newPlan } from "./plan.js";

/** @import { EventDefinition } from "../../contract.d.ts" */
/** @import { TicketType } from "./ticket-type.js" */

export const FACTS = /** @type {const} */ ([
  "name",
  "artist",
  "venue",
  "town",
  "tags",
  "date",
  "timeZone",
  "onSaleAt",
  "offSaleAt",
  "currency",
  "seatsPerFanMax",
  "doorsAt",
  "pictureHash",
  "pictureAlt",
  "accountRequired",
]);
const ROOM = ["state", "ratePerMinute", "capacity", "lineCap", "lobbyMinutes"];

/** @typedef {typeof FACTS[number]} Fact */

/** @param {Fact} name */
function valueOf(name) {
  if (name === "accountRequired") return input(name).checked;
  const value = input(name).value.trim();
  if (name === "tags") return value.split(",").map((tag) => tag.trim()).filter(Boolean);
  if (isTime(name)) return value ? momentOf(input(name), zone()) : mayBeEmpty(name) ? null : "";
  if (name === "pictureHash") return value || null;
  return name === "seatsPerFanMax" ? Number(value) : name === "currency" ? currency() : value;
}

/**
 * A spreadsheet's text. A file that says no encoding by its first bytes is in UTF-8, or else in the code page that a
 * spreadsheet of the West saves by itself.
 * @param {File} file
 */
async function textOf(file) {
  const content = new Uint8Array(await file.arrayBuffer());
  if (content[0] === 0xff && content[1] === 0xfe) return new TextDecoder("utf-16le").decode(content);
  if (content[0] === 0xfe && content[1] === 0xff) return new TextDecoder("utf-16be").decode(content);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return new TextDecoder("windows-1252").decode(content);
  }
}

/** @param {TicketType[]} types */
export async function newEvent(types) {
  types.forEach((type, index) => type.placeAt(`$.ticketTypes[${index}]`));
  const csv = inputOf("csv").files?.[0];
  return {
    ...Object.fromEntries(FACTS.map((name) => [name, valueOf(name)])),
    ticketTypes: types.map((type) => ({ ...type.facts, blocks: type.blocks(false) })),
    csv: csv ? await textOf(csv) : "",
    ...newPlan(),
    room: Object.fromEntries(
      ROOM.map((name) => [name, name === "state" ? input(name).value : input(name).valueAsNumber]),
    ),
    why: input("why").value.trim(),
  };
}

/** @param {EventDefinition} event as the server has it @param {TicketType[]} types */
export function changes(event, types) {
  const facts = FACTS.filter((name) =>
    isTime(name) ? isTimeChanged(name, event) : String(valueOf(name)) !== String(event[name])
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
    ...(input("notice").value.trim() === event.notice ? {} : { notice: input("notice").value.trim() }),
    ticketTypes: changed.map((type) => ({ ticketTypeId: type.known?.ticketTypeId, ...type.facts })),
    addTicketTypes: fresh.map((type) => ({ ...type.facts, blocks: type.blocks(false) })),
    removeTicketTypes: going.map((type) => type.known?.ticketTypeId),
    addSeats: added.map((type) => ({ ticketTypeId: type.known?.ticketTypeId, blocks: type.blocks(false) })),
    removeSeats: removed.map((type) => ({ ticketTypeId: type.known?.ticketTypeId, blocks: type.blocks(true) })),
  };
}
