// @ts-check
// The log of an event's changes, as an operator reads it.
import { call } from "../api.js";
import { $, make } from "../dom.js";
import { momentWords } from "../moments.js";
import { majorUnits } from "./form.js";

/** @import { RoomLogLine, RoomLogList } from "../../contract.d.ts" */

/** @type {Record<string, string>} */
const FIELDS = {
  date: "begins",
  doors_at: "doors open",
  picture_hash: "picture",
  picture_alt: "picture in words",
  on_sale_at: "on sale from",
  off_sale_at: "on sale until",
  seats_per_fan_max: "seats per fan",
  notice: "notice to fans",
  account_required: "account needed",
};

/** @param {string} field */
const fieldWords = (field) => FIELDS[field] ?? field.replaceAll("_", " ");

/** A value of the log: prices as on the form, times by the clock here. @param {string} field @param {string} value */
function valueWords(field, value) {
  if (/^price of /.test(field) && /^\d+$/.test(value)) return majorUnits(Number(value));
  if (field === "ticket_types") return value.replace(/ at (\d+)$/, (_, price) => ` at ${majorUnits(Number(price))}`);
  const moment = field === "date" || field.endsWith("_sale_at") ? new Date(value) : null;
  return moment && !Number.isNaN(moment.getTime()) ? momentWords(moment, "date") : value;
}

/** What another operator changed meanwhile. @param {RoomLogLine} line */
export function conflictLine({ field, from, operator, to }) {
  const values = `from “${valueWords(field, from)}” to “${valueWords(field, to)}”`;
  return make("li", `${operator}: ${fieldWords(field)} ${values}`);
}

/** @param {number} eventId */
export async function showLog(eventId) {
  /** @type {RoomLogList} */
  const { entries } = await call("GET", `/api/ops/events/${eventId}/log`);
  $("log-none").hidden = entries.length > 0;
  $("log").replaceChildren(...entries.map(logLine));
}

/** @param {RoomLogLine} line */
function logLine(line) {
  const field = fieldWords(line.field);
  const from = valueWords(line.field, line.from);
  const to = valueWords(line.field, line.to);
  const what = !from ? `${field}: ${to}` : !to ? `${field}: ${from}, removed` : `${field}: ${from} → ${to}`;
  const by = `${momentWords(line.at, "date")} · ${line.operator}${line.why ? ` · ${line.why}` : ""}`;
  const item = make("li");
  item.append(make("div", what), make("div", by, "by"));
  return item;
}
