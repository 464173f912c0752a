// @ts-check
// Whether a change took effect, as the room itself shows it: that it was written down is not enough.
import { count } from "../text.js";

const SETTLED_MS = 2000; // With nobody let in for so long, the door is seen to be shut.
const MEASURED_MS = 5000; // A rate is measured over at least so long.
const GIVEN_UP_MS = 30000;

/** @import { RoomAnswer } from "../../contract.d.ts" */

/** When a change came into force (ms), and how many fans had been let in until then. @typedef {{at: number, letIn: number}} Since */

/** Why fewer fans are let in than asked for; empty where the room does not show it. @param {RoomAnswer} room */
function bound(room) {
  if (room.waiting === 0) return "nobody waits";
  if (room.called + room.admitted >= room.capacity) return "as many are inside as may be";
  return "";
}

/** @param {RoomAnswer} room @param {Since} since @param {number} at */
function rateSeen(room, since, at) {
  const asked = room.rateNowPerMinute;
  const ms = at - since.at;
  const letIn = room.letIn - since.letIn;
  if (!asked) return shut(letIn, ms);
  const real = (letIn * 60000) / Math.max(ms, 1);
  // A fan more or less is no difference: at a low rate it takes longer to be sure.
  const tolerance = Math.max(asked * 0.2, 90000 / ms);
  const near = ms >= MEASURED_MS && letIn > 0 && Math.abs(real - asked) <= tolerance;
  if (near) return { done: true, words: `seen: ${count(Math.round(real))} a minute let in` };
  if (bound(room)) return { done: ms >= MEASURED_MS, words: `in force; ${bound(room)}` };
  return { done: ms >= GIVEN_UP_MS, words: `in force; ${count(letIn)} let in since` };
}

/** @param {number} letIn @param {number} ms */
const shut = (letIn, ms) =>
  letIn
    ? { done: false, words: `${count(letIn)} let in since` }
    : { done: ms >= SETTLED_MS, words: `seen: nobody let in for ${Math.max(1, Math.round(ms / 1000))} s` };

/** @param {RoomAnswer} room @param {Since} since @param {number} at */
function openSeen(room, since, at) {
  if (room.letIn > since.letIn) return { done: true, words: `seen: ${count(room.letIn - since.letIn)} let in since` };
  return {
    done: at - since.at >= GIVEN_UP_MS,
    words: bound(room) ? `open; ${bound(room)}` : "open; waiting for the next call",
  };
}

/** @param {RoomAnswer} room */
function capacitySeen(room) {
  const inside = room.called + room.admitted;
  const over = inside - room.capacity;
  if (over > 0) return { done: false, words: `in force; ${count(over)} too many are inside, nobody is called` };
  return { done: true, words: `seen: ${count(inside)} inside of ${count(room.capacity)}` };
}

/** @param {RoomAnswer} room */
const lineSeen = (room) => ({
  done: true,
  words: room.waiting > room.lineCap
    ? `in force; ${count(room.waiting)} wait, nobody more joins`
    : `seen: ${count(room.waiting)} in line of ${count(room.lineCap)}`,
});

/** @param {RoomAnswer} room */
function pilotSeen(room) {
  if (room.autopilot) {
    return room.autopilotWhy
      ? { done: true, words: `steering: the door is at ${count(Math.round(room.rateNowPerMinute))} a minute` }
      : { done: false, words: "taking the controls…" };
  }
  return { done: true, words: `off: the door is at ${count(room.ratePerMinute)} a minute` };
}

/**
 * @param {string} field as in the PATCH @param {RoomAnswer} room @param {Since} since @param {number} at now, ms
 * @returns {{done: boolean, words: string}}
 */
export function seen(field, room, since, at) {
  if (field === "ratePerMinute") return rateSeen(room, since, at);
  if (field === "paused" || field === "closed") {
    return room.state === "open" ? openSeen(room, since, at) : shut(room.letIn - since.letIn, at - since.at);
  }
  if (field === "capacity") return capacitySeen(room);
  if (field === "lineCap") return lineSeen(room);
  if (field === "autopilot") return pilotSeen(room);
  if (field === "claimWindowSeconds") return { done: true, words: "in force for whoever is called from now on" };
  if (room.message) return { done: true, words: "on every waiting page" };
  const some = Object.keys(room.messages ?? {}).length;
  return { done: true, words: some ? "on the waiting pages in these languages" : "taken down everywhere" };
}

/** Whether two values of a field are the same. Texts by language have one order everywhere. @param {unknown} one @param {unknown} other */
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** @param {RoomAnswer} room @param {string} field as in the PATCH */
export const valueIn = (room, field) => room[/** @type {keyof RoomAnswer} */ (field)];
