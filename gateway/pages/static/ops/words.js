// @ts-check
// The console's own words: a room's states, a change's fields, moments.
import { momentWords } from "../moments.js";
import { count } from "../text.js";

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
  line_cap: "Longest line",
  lineCap: "Longest line",
  claim_window_seconds: "Time to enter",
  claimWindowSeconds: "Time to enter",
  pass_seconds: "Pass",
  lobby_minutes: "Lobby",
  autopilot: "Autopilot",
  message: "Message",
  messages: "Message by language",
  priority_share: "Priority share",
  codes: "Access codes",
  steps: "Scheduled",
};
/** The API's names of the dials in the console, by the log's. @type {Record<string, string>} */
export const DIALS = {
  rate_per_minute: "ratePerMinute",
  capacity: "capacity",
  line_cap: "lineCap",
  claim_window_seconds: "claimWindowSeconds",
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

/** A value as told in the log. @param {string} field @param {unknown} value @returns {string} */
export function valueWords(field, value) {
  if (field === "state") return (STATES[String(value)] ?? String(value)).toLowerCase();
  if (field === "autopilot") return String(value) === "true" ? "on" : "off";
  if (field === "message") return value ? `“${value}”` : "none";
  if (field === "messages") return textsWords(value);
  if (field === "paused") return String(value) === "true" ? "pause" : "resume";
  if (field === "steps") return stepWords(String(value));
  if (field === "codes") return String(value) || "none";
  const unit = UNITS[/** @type {keyof typeof UNITS} */ (field)];
  const figure = Number.isFinite(Number(value)) ? count(Number(value)) : String(value);
  return unit ? `${figure} ${unit}` : figure;
}

const languageNames = new Intl.DisplayNames("en", { type: "language" });
/** @param {string} tag */
export const languageWords = (tag) => languageNames.of(tag) ?? tag;

/** Texts by language; the log has them as JSON. @param {unknown} value @returns {string} */
function textsWords(value) {
  /** @type {Record<string, string>} */
  const texts = typeof value === "string" ? JSON.parse(value) : value ?? {};
  return Object.entries(texts).map(([tag, text]) => `${languageWords(tag)} “${text}”`).join(", ") || "none";
}

/** A step as the log has it: its moment, then each value. @param {string} logged @returns {string} */
function stepWords(logged) {
  if (!logged) return "none";
  const [at, ...sets] = logged.split(" ");
  return `${momentWords(at, "day")}: ${
    sets.map((set) => {
      const [field, value] = set.split("=");
      return field === "paused" ? valueWords(field, value) : `${fieldWords(field)} ${valueWords(field, value)}`;
    }).join(", ")
  }`;
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

const RECENT_MS = 20 * 3600 * 1000; // Within this time the day goes without saying.
/** When something was changed. @param {string} at */
export const changedWords = (at) => momentWords(at, Date.now() - Date.parse(at) < RECENT_MS ? "seconds" : "day");

const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
/** A figure short enough to be large. @param {number | null | undefined} value */
export const figure = (
  value,
) => (value !== null && value !== undefined && Math.abs(value) >= 100_000 ? short.format(value) : count(value));
