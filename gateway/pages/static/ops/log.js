// @ts-check
// The audit log of the room in view: who, when, from, to and why.
import { call, Problem } from "../api.js";
import { fieldWords, momentWords, valueWords } from "./words.js";

const list = /** @type {HTMLElement} */ (document.getElementById("log"));
const none = /** @type {HTMLElement} */ (document.getElementById("log-none"));
let asked = "";

/** @param {any} line */
function item(line) {
  const element = document.createElement("li");
  const moment = document.createElement("time");
  moment.dateTime = line.at;
  moment.textContent = momentWords(new Date(line.at));
  const who = document.createElement("b");
  who.textContent = line.operator;
  const what = document.createElement("span");
  what.textContent = `${fieldWords(line.field)} ${valueWords(line.field, line.from)} → ${
    valueWords(line.field, line.to)
  }`;
  element.append(moment, who, what);
  if (line.why) {
    const why = document.createElement("q");
    why.textContent = line.why;
    element.append(why);
  }
  return element;
}

/** Show the log as of a revision of the room; asked for once each. @param {number} eventId @param {number} revision */
export async function showLog(eventId, revision) {
  const key = `${eventId}/${revision}`;
  if (asked === key) return;
  if (!asked.startsWith(`${eventId}/`)) list.replaceChildren();
  asked = key;
  try {
    const { entries } = await call("GET", `/api/ops/rooms/${eventId}/log`);
    if (asked !== key) return;
    list.replaceChildren(...entries.map(item));
    list.hidden = !entries.length;
    none.hidden = entries.length > 0;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (asked === key) asked = ""; // With the next news of the room it is asked again.
  }
}
