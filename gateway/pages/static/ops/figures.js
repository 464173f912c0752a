// @ts-check
// The room in view in figures, large enough to be read from afar.
import { count } from "../text.js";
import { plural } from "../words.js";
import { figure, STATES } from "./words.js";

/** @import { RoomAnswer } from "../../contract.d.ts" */

const TROUBLES = ["timed_out", "internal_error"]; // These are our faults, not the fans'.
const REFUSALS_NAMED = 2;

/** @param {string} name @param {string} text @param {string} [unit] */
export function put(name, text, unit = "") {
  const field = /** @type {HTMLElement | null} */ (document.querySelector(`[data-f="${name}"]`));
  if (!field || (field.textContent === text && (field.dataset.unit ?? "") === unit)) return;
  field.textContent = text;
  if (unit) field.dataset.unit = unit;
  else delete field.dataset.unit;
  field.classList.toggle("is-long", text.length > 4);
  field.classList.toggle("is-longer", text.length > 5);
}

/** The class of a room's state. @param {string} state */
export function tone(state) {
  if (state === "open") return "is-open";
  return ["closed", "sold_out", "off"].includes(state) ? "is-shut" : "is-slow";
}

/** @param {string} name @param {number | null} ms */
function putSpan(name, ms) {
  if (ms === null) put(name, "–");
  else if (ms < 999.5) put(name, String(Math.round(ms)), "ms");
  else put(name, (ms / 1000).toFixed(1), "s");
}

const WINDOW_MS = 10_500;
const WINDOW_MS_MIN = 1900;

/** The fans let in a minute, counted from the stream over the last seconds, and after a change only since it. */
class Door {
  /** @type {[number, number][]} */
  readings = [];
  of = "";
  /** @type {number | null} */
  real = null;
  /** @param {RoomAnswer} room @param {number} at ms */
  read(room, at) {
    const of = `${room.eventId}/${room.revision}`;
    if (this.of.split("/")[0] !== String(room.eventId)) this.real = room.calledPerMinute;
    if (this.of !== of || room.letIn < this.readings[0]?.[1]) this.readings = [];
    this.of = of;
    this.readings.push([at, room.letIn]);
    while (this.readings.length > 2 && this.readings[0][0] < at - WINDOW_MS) this.readings.shift();
    const [first, letIn] = this.readings[0];
    if (at - first >= WINDOW_MS_MIN) this.real = ((room.letIn - letIn) * 60000) / (at - first);
    return this.real;
  }
}
const door = new Door();

/** @param {Record<string, number>} errors */
function errorsOf(errors) {
  const all = Object.entries(errors).sort((a, b) =>
    Number(TROUBLES.includes(b[0])) - Number(TROUBLES.includes(a[0])) || b[1] - a[1]
  );
  const named = all.slice(0, REFUSALS_NAMED).map(([code, number]) => `${count(number)} ${code.replaceAll("_", " ")}`);
  return named.join(", ") + (all.length > REFUSALS_NAMED ? ", …" : "");
}

/** What a room's state means; empty where its name says enough. @param {RoomAnswer} room */
function stateWords({ closed, lobby, lobbyMinutes, paused, sale, state }) {
  if (sale === "cancelled") return "the event was cancelled";
  if (sale === "unpublished") return "the event is not published";
  if (sale === "over") return "the sale is over";
  if (sale === "coming" && state === "paused" && !paused) return "fans may join; nobody is let in before the sale";
  switch (state) {
    case "paused":
      return "nobody is let in; people inside can finish";
    case "closed":
      return closed
        ? "nobody can join and nobody is let in"
        : `the lobby opens ${plural(lobbyMinutes, "minute")} before the sale`;
    case "lobby":
      return `${plural(lobby, "fan")} in the lobby until the sale begins`;
    case "rebuilding":
      return "places are being restored";
    case "sold_out":
      return "every seat is sold";
    case "off":
      return "fans walk straight in";
    default:
      return "";
  }
}

/** @param {RoomAnswer} room @param {number} at ms */
export function drawFigures(room, at) {
  put("name", room.name);
  put("state", STATES[room.state] ?? room.state);
  const state = /** @type {HTMLElement} */ (document.querySelector('[data-f="state"]'));
  state.className = `room-state ${tone(room.state)}`;
  put("stateWhy", stateWords(room));
  put("waiting", figure(room.waiting));
  put("lineOf", `of ${figure(room.lineCap)} at most`);
  put("called", figure(room.called));
  put("calledOf", `${count(room.claimWindowSeconds)} s to enter`);
  put("admitted", figure(room.admitted));
  put("admittedOf", `of ${figure(room.capacity)} inside at most`);
  put("rateNow", figure(Math.round(room.rateNowPerMinute)));
  put("rateOf", room.autopilot ? `autopilot, up to ${figure(room.ratePerMinute)} per min` : "entries per min");
  const real = door.read(room, at);
  put("rateReal", real === null ? "–" : figure(Math.round(real)));
  put(
    "rateRealOf",
    room.measuredPerMinute === null
      ? "invited per min"
      : `invited per min; ${figure(Math.round(room.measuredPerMinute))} entered`,
  );
  putSpan("p50", room.p50BookingMs);
  putSpan("p95", room.p95BookingMs);
  put("backlog", figure(room.backlog));
  put("noShows", String(Math.round(room.noShowRate * 100)), "%");
  put("errors", figure(room.faults));
  put("errorsOf", errorsOf(room.errors) || "in the last minute");
  document.querySelector('[data-f="errors"]')?.classList.toggle(
    "is-bad",
    TROUBLES.some((code) => room.errors[code] > 0),
  );
  document.querySelector('[data-f="backlog"]')?.classList.toggle("is-bad", room.backlog >= 1000);
  drawSales(room);
}

/** @param {RoomAnswer} room */
function drawSales({ sold, held, free }) {
  const whole = sold + held + free || 1;
  document.querySelector(".s-sold")?.setAttribute("width", String((100 * sold) / whole));
  document.querySelector(".s-held")?.setAttribute("width", String((100 * held) / whole));
  document.querySelector(".s-held")?.setAttribute("x", String((100 * sold) / whole));
  put("sold", figure(sold));
  put("held", figure(held));
  put("free", figure(free));
  put("soldShare", String(Math.floor((100 * sold) / whole)), "%");
}
