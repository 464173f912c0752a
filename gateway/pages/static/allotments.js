// @ts-check
// An event's allotments, for its operators: taking seats out of the sale under a name, and putting them back.
import { call } from "./api.js";
import { $, formOf, make, readData } from "./dom.js";
import { momentWords } from "./moments.js";
import { attempt, say, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";
import { plural } from "./words.js";

/** @import { AllotmentAnswer, AllotmentList, AllotmentMade, EventDefinition, SeatAnswer } from "../contract.d.ts" */

/** @type {{eventId: number}} */
const { eventId } = readData("allotments-data");
const path = `/api/ops/events/${eventId}`;
const form = formOf("set-aside");
const ROW = /^\s*(\d{1,9})\s*:\s*([\d\s,-]+)$/;
const SPAN = /^\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?$/;
const SEATS_OF_ROW_MAX = 10_000;
/** The event as the server has it. @type {EventDefinition} */
let event;

/**
 * The rows that a text names, as the API takes them; null where it names them otherwise.
 * @param {string} text
 */
function rowsNamed(text) {
  /** @type {Map<number, Set<number>>} */
  const rows = new Map();
  for (const part of text.split(";").filter((one) => one.trim())) {
    const row = ROW.exec(part);
    if (!row) return null;
    const seats = rows.get(Number(row[1])) ?? new Set();
    rows.set(Number(row[1]), seats);
    for (const span of row[2].split(",")) {
      const found = SPAN.exec(span);
      if (!found) return null;
      const first = Number(found[1]);
      const last = Number(found[2] ?? first);
      if (last < first || last - first >= SEATS_OF_ROW_MAX) return null;
      for (let seat = first; seat <= last; seat++) seats.add(seat);
    }
  }
  if (!rows.size) return null;
  return [...rows].map(([rowNumber, seats]) => ({ rowNumber, seatNumbers: [...seats] }));
}

/** Seats in words, neighbours as one span. @param {readonly SeatAnswer[]} seats */
function seatWords(seats) {
  /** @type {Map<string, [number, number][]>} */
  const rows = new Map();
  for (const { rowNumber, seatNumber, ticketTypeId } of seats) {
    const type = event.ticketTypes.find((one) => one.ticketTypeId === ticketTypeId)?.ticketType ?? "";
    const row = `${type} row ${rowNumber}`;
    const spans = rows.get(row) ?? [];
    rows.set(row, spans);
    const last = spans.at(-1);
    if (last && last[1] === seatNumber - 1) last[1] = seatNumber;
    else spans.push([seatNumber, seatNumber]);
  }
  return [...rows].map(([row, spans]) =>
    `${row}: ${spans.map(([first, last]) => first === last ? first : `${first}–${last}`).join(", ")}`
  ).join("; ");
}

/** @param {AllotmentAnswer} allotment */
function line({ allotmentId, madeAt, madeBy, name, seats }) {
  const words = make("div");
  const facts = `${plural(seats.length, "seat")} · by ${madeBy}, ${momentWords(madeAt, "date")}`;
  words.append(make("b", name), make("p", seatWords(seats), "small"), make("p", facts, "muted small"));
  const back = make("button", "Put back", "button plain");
  back.type = "button";
  back.dataset.needs = "owner";
  back.setAttribute("aria-label", `Put ${name} back into the sale`);
  back.addEventListener("click", () => {
    if (!confirm(`Put ${plural(seats.length, "seat")} of ${name} back into the sale?`)) return;
    attempt("allotments", async () => {
      await call("DELETE", `${path}/allotments/${allotmentId}`);
      say(`${name} is back in the sale.`, [], true);
      await show();
    });
  });
  const item = make("li");
  item.append(words, back);
  return item;
}

async function show() {
  /** @type {[Promise<EventDefinition>, Promise<AllotmentList>]} */
  const asked = [call("GET", path), call("GET", `${path}/allotments`)];
  const [found, { allotments }] = await Promise.all(asked);
  event = found;
  const out = allotments.reduce((sum, { seats }) => sum + seats.length, 0);
  $("summary").textContent = `${event.name} · ${count(out)} out of the sale`;
  const types = /** @type {HTMLSelectElement} */ (form.elements.namedItem("type"));
  if (!types.options.length) {
    types.append(
      ...event.ticketTypes.map(({ ticketType, ticketTypeId }) => new Option(ticketType, String(ticketTypeId))),
    );
  }
  $("list").replaceChildren(...allotments.map(line));
  $("none").hidden = allotments.length > 0;
  $("sign-in").hidden = true;
  $("allotments").hidden = false;
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt("allotments", async () => {
    const fields = new FormData(form);
    const rows = rowsNamed(String(fields.get("seats")));
    if (!rows) return say("Name the seats by their rows, as in 1: 1-4, 7; 2: 1-4.");
    const seats = [{ ticketTypeId: Number(fields.get("type")), rows }];
    /** @type {AllotmentMade} */
    const { name } = await call("POST", `${path}/allotments`, {
      body: { name: fields.get("name"), seats, why: fields.get("why") },
    });
    form.reset();
    await show();
    say(`${name} is out of the sale.`, [], true);
  });
});

watchSignIn(() => attempt("allotments", show));
watchSession("allotments", eventId);
attempt("allotments", show);
