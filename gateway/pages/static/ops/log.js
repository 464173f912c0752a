// @ts-check
// The audit log of the room in view: each change with its operator, moment, values and reason.
import { call, Problem } from "../api.js";
import { $, make } from "../dom.js";
import { changedWords, fieldWords, valueWords } from "./words.js";

/** @import { RoomLogLine, RoomLogList } from "../../contract.d.ts" */

let asked = ""; // The room and the revision whose log is shown or under way.

/** @param {RoomLogLine} line */
function item({ at, operator, field, from, to, why }) {
  const moment = make("time", changedWords(at));
  moment.dateTime = at;
  const change = `${fieldWords(field)} ${valueWords(field, from)} → ${valueWords(field, to)}`;
  const element = make("li");
  element.append(moment, make("b", operator), make("span", change));
  if (why) element.append(make("q", why));
  return element;
}

// Show the log as of a revision of the room. Each revision is asked for once.
/** @param {number} eventId @param {number} revision @param {(entries: RoomLogLine[]) => void} shown is told the log */
export async function showLog(eventId, revision, shown) {
  const key = `${eventId}/${revision}`;
  if (asked === key) return;
  if (!asked.startsWith(`${eventId}/`)) $("log").replaceChildren();
  asked = key;
  try {
    /** @type {RoomLogList} */
    const { entries } = await call("GET", `/api/ops/rooms/${eventId}/log`);
    if (asked !== key) return;
    $("log").replaceChildren(...entries.map(item));
    $("log").hidden = !entries.length;
    $("log-none").hidden = entries.length > 0;
    shown(entries);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (asked === key) asked = ""; // With the next news of the room it is asked again.
  }
}
