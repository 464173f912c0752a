// @ts-check
// An event's waiting list in numbers, and the rules of waiting and cancelling, for its operators.
import { call, Problem } from "./api.js";
import { $, formOf, make } from "./dom.js";
import { attempt, say, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";

/** @import { RoomAnswer, WaitingFigures, WaitingOfType } from "../contract.d.ts" */

const LOOK_MS = 10_000;
const NUMBERS = /** @type {const} */ ([
  "offerMinutes",
  "cancelHours",
  "cancelFeePercent",
  "cancelFeeAmount",
  "paymentTermHours",
  "paymentTermSeatsMax",
]);
const eventId = $("rules").dataset.event;
const room = `/api/ops/rooms/${eventId}`;
const form = formOf("rules-form");
let revision = 0; // of the room whose rules this page shows

/** @param {string} name */
const field = (name) => /** @type {HTMLInputElement | HTMLSelectElement} */ (form.elements.namedItem(name));

/** @param {WaitingOfType} of */
function line({ ticketType, waiting, seats, offered, taken, lapsed, declined, left }) {
  const row = make("tr");
  row.append(make("th", ticketType));
  row.append(...[waiting, seats, offered, taken, lapsed, declined, left].map((n) => make("td", count(n ?? 0))));
  return row;
}

async function showFigures() {
  /** @type {WaitingFigures} */
  const figures = await call("GET", `${room}/waiting-list`);
  $("types").replaceChildren(...figures.types.map(line));
  const waiting = figures.types.reduce((sum, { waiting: n }) => sum + (n ?? 0), 0);
  $("summary").textContent = `${figures.isOn ? "On" : "Off"} · ${count(waiting)} waiting`;
}

async function show() {
  /** @type {RoomAnswer} */
  const found = await call("GET", room);
  await showFigures();
  document.title = `Waiting list: ${found.name} · Console · Admit One`;
  revision = found.revision;
  field("waitingList").value = found.waitingList ? "on" : "off";
  for (const name of NUMBERS) field(name).value = String(found[name]);
  $("sign-in").hidden = true;
  $("rules").hidden = false;
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt("rules", async () => {
    const numbers = Object.fromEntries(NUMBERS.map((name) => [name, Number(field(name).value)]));
    const body = { ...numbers, waitingList: field("waitingList").value === "on", revision };
    try {
      await call("PATCH", room, { body });
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "conflict") throw error;
      await show();
      return say("Not set: another operator changed the room meanwhile. This page shows what holds now.");
    }
    await show();
    say("Set.", [], true);
  });
});

setInterval(() => {
  if (!document.hidden && !$("rules").hidden) showFigures().catch(() => {});
}, LOOK_MS);
watchSignIn(() => attempt("rules", show));
watchSession("rules", Number(eventId));
attempt("rules", show);
