// @ts-check
// The console's own words: a room's states, a change's fields, moments.
import { count } from "../words.js";

/** @type {Record<string, string>} */
export const STATES = {
  open: "Open",
  lobby: "Lobby",
  paused: "Paused",
  closed: "Closed",
  off: "No room",
  sold_out: "Sold out",
  rebuilding: "Rebuilding",
};

/** By the log's names and by the API's. @type {Record<string, string>} */
const FIELDS = {
  state: "State",
  rate_per_minute: "Rate",
  ratePerMinute: "Rate",
  capacity: "Capacity",
  line_cap: "Line cap",
  lineCap: "Line cap",
  claim_window_seconds: "Claim window",
  claimWindowSeconds: "Claim window",
  pass_seconds: "Pass",
  lobby_minutes: "Lobby",
  autopilot: "Autopilot",
  message: "Message",
  priority_share: "Priority share",
  codes: "Access codes",
};
const UNITS = {
  rate_per_minute: "a minute",
  ratePerMinute: "a minute",
  claim_window_seconds: "s",
  claimWindowSeconds: "s",
  pass_seconds: "s",
  lobby_minutes: "min",
  priority_share: "%",
};

/** @param {string} field */
export const fieldWords = (field) => FIELDS[field] ?? field;

/** A value as told in the log. @param {string} field @param {unknown} value */
export function valueWords(field, value) {
  if (field === "state") return (STATES[String(value)] ?? String(value)).toLowerCase();
  if (field === "autopilot") return String(value) === "true" ? "on" : "off";
  if (field === "message") return value ? `“${value}”` : "none";
  if (field === "codes") return String(value) || "none";
  const unit = UNITS[/** @type {keyof typeof UNITS} */ (field)];
  const figure = Number.isFinite(Number(value)) ? count(Number(value)) : String(value);
  return unit ? `${figure} ${unit}` : figure;
}

/** What somebody asks for, in words. @param {Record<string, unknown>} changes */
export function askedWords(changes) {
  return Object.entries(changes)
    .map(([field, value]) => {
      if (field === "paused") return value ? "Pause" : "Resume";
      if (field === "closed") return value ? "Close" : "Open again";
      return `${fieldWords(field)} → ${valueWords(field, value)}`;
    })
    .join(", ");
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
/** @param {Date} at */
export const momentWords = (at) => (Date.now() - at.getTime() < 20 * 3600 * 1000 ? clockFormat : dayFormat).format(at);

const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
/** A figure short enough to be large. @param {number | null | undefined} value */
export const figure = (
  value,
) => (value !== null && value !== undefined && Math.abs(value) >= 100_000 ? short.format(value) : count(value));
