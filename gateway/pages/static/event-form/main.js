// @ts-check
// The console's form of one event: a new one is sent whole, a known one where it differs.
import { below } from "../addresses.js";
import { call, Problem } from "../api.js";
import { $, buttonOf, inputOf, make } from "../dom.js";
import { enter, say, signedOut, watchSession, watchSignIn } from "../operator.js";
import { moneyIn, plural } from "../words.js";
import { changes, FACTS, newEvent } from "./body.js";
import { forgetFaults, showFaults, unfilled } from "./faults.js";
import {
  currency,
  data,
  examineTimes,
  exponent,
  followZone,
  form,
  input,
  isTime,
  offerAllTurns,
  showTimes,
} from "./form.js";
import { zones } from "../zones.js";
import { conflictLine, showLog } from "./log.js";
import { removePicture, showPicture, upload } from "./event-picture.js";
import { showPlan, watchPlan } from "./plan.js";
import { Progress } from "./progress.js";
import { Sale } from "./sale.js";
import { TicketType } from "./ticket-type.js";

/** @import { DefinedTicketType, EventDefinition, EventPreview, SeatMap } from "../../contract.d.ts" */

const PATIENCE_SECONDS = 60; // A hall of many thousand seats takes its time.
const BLOCK = { rows: 10, seatsPerRow: 10 }; // what a new ticket type begins with

/** The event as the server has it; null for a new one. @type {EventDefinition | null} */
let known = null;
/** @type {TicketType[]} */
let types = [];

/** The state of an event that the server has; what else the form says is not saved by it, and stays. */
const sale = data.eventId === null ? null : new Sale(
  () => /** @type {EventDefinition} */ (known),
  async (event, words) => {
    known = event;
    sale?.show(event);
    progress?.watch();
    await showLog(event.eventId);
    say(words, [], true);
  },
  refuse,
);

const progress = data.eventId === null ? null : new Progress(data.eventId, (code) => data.exponents[code] ?? 2);

/** @param {DefinedTicketType | null} type as the server has it; null for a new one */
function addType(type) {
  const added = new TicketType(type, {
    onChange: sum,
    onRemove: (removed) => (types = types.filter((one) => one !== removed)),
  });
  types.push(added);
  return added;
}

/** Show the seats of each ticket type, and what all of them are worth. */
function sum() {
  for (const type of types) type.draw();
  const worth = types.reduce((total, type) => total + type.seats * type.price, 0);
  let words = plural(types.reduce((total, type) => total + type.seats, 0), "seat");
  if (Number.isFinite(worth) && /^[A-Z]{3}$/.test(currency())) {
    words += ` · ${moneyIn(currency(), exponent())(worth)} if all are sold`;
  }
  $("summary").textContent = words;
}

/** How many seats an event has. @param {EventDefinition} event */
const seatsOf = (event) => event.ticketTypes.reduce((total, type) => total + type.quantity, 0);

/** What the server says to the operator of the event, or of its change. @param {EventDefinition} event */
const notesOf = (event) => (event.notes ?? []).map((note) => make("li", note));

/** @param {unknown} error */
function refuse(error) {
  if (!(error instanceof Problem)) throw error;
  if (signedOut(error)) return enter(begin);
  if (error.code === "conflict") {
    return say(
      "Somebody else changed this event meanwhile. Nothing of yours was saved; reload to go on from what it is now.",
      (error.body.changes ?? []).map(conflictLine),
    );
  }
  showFaults("Nothing was saved.", error.body.errors ?? [{ path: "$", message: error.message }]);
}

/** @param {boolean} dry only look whether it would be saved */
async function send(dry) {
  input("currency").value = currency();
  const body = known ? changes(known, types) : await newEvent(types);
  forgetFaults();
  examineTimes();
  const faults = unfilled();
  if (faults.length) return showFaults("Please look at these again.", faults);
  const method = known ? "PATCH" : "POST";
  const path = known ? `/api/ops/events/${known.eventId}` : "/api/ops/events";
  const buttons = [buttonOf("check"), buttonOf("save")];
  for (const button of buttons) button.disabled = true;
  try {
    if (dry) {
      /** @type {EventPreview} */
      const { event, faults } = await call(method, `${path}?dryRun=true`, { body, patience: PATIENCE_SECONDS });
      if (event && !faults.length) {
        say(`All is well: ${plural(seatsOf(event), "seat")}. Nothing is saved yet.`, notesOf(event), true);
      } else showFaults("This would not be saved.", faults);
      return;
    }
    /** @type {EventDefinition} */
    const event = await call(method, path, { body, patience: PATIENCE_SECONDS });
    if (!known) return location.assign(below(`/ops/events/${event.eventId}?made`));
    const notes = notesOf(event);
    show(event);
    input("why").value = "";
    await showLog(event.eventId);
    await showPlan(event.eventId);
    progress?.watch();
    say("Saved. Every page shows it within a second.", notes, true);
  } catch (error) {
    await refuse(error);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** @param {EventDefinition} event */
function show(event) {
  known = event;
  $("heading").textContent = event.name;
  document.title = `${event.name} · Console · Admit One`;
  sale?.show(event);
  input("notice").value = event.notice ?? "";
  for (const name of FACTS) {
    if (name === "accountRequired") input(name).checked = Boolean(event[name]);
    else if (name === "tags") input(name).value = (event.tags ?? []).join(", ");
    else if (!isTime(name)) input(name).value = String(event[name] ?? "");
  }
  showPicture();
  showTimes(event, event.timeZone);
  $("types").replaceChildren();
  types = [];
  for (const type of event.ticketTypes) addType(type);
  sum();
  showTaken(event.eventId);
}

/** Show which seats are sold and held, where a ticket type has a picture of them. @param {number} eventId */
async function showTaken(eventId) {
  if (!types.some((type) => type.hasPicture)) return;
  try {
    /** @type {SeatMap} */
    const { taken } = await call("GET", `/api/events/${eventId}/seats`);
    for (const type of types) type.showTaken(taken);
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // Then the pictures show the seats alone.
  }
}

async function begin() {
  if (data.eventId !== null) {
    show(await call("GET", `/api/ops/events/${data.eventId}`));
    progress?.watch();
    await showLog(data.eventId);
    await showPlan(data.eventId);
    return;
  }
  await call("GET", "/api/ops/events?limit=1"); // Refused where no operator is signed in.
  if (!types.length) addType(null).addBlock(false, BLOCK);
  sum();
}

/** Add the seats of a spreadsheet. @param {boolean} dry only count them */
async function sendCsv(dry) {
  const csv = inputOf("csv");
  const file = csv.files?.[0];
  if (!file || !known) return;
  forgetFaults();
  try {
    const path = `/api/ops/events/${known.eventId}/seats${dry ? "?dryRun=true" : ""}`;
    const headers = { "Content-Type": "text/csv", Accept: "application/json" };
    const response = await fetch(below(path), { method: "POST", body: file, headers });
    const answer = await response.json();
    if (!response.ok) throw new Problem(response.status, answer);
    if (dry) return showPreview(answer, seatsOf(known));
    show(answer);
    await showLog(known.eventId);
    $("csv-add").hidden = true;
    $("csv-said").textContent = "";
    csv.value = "";
    say("The seats are there. Every page shows them within a second.", [], true);
  } catch (error) {
    await refuse(error);
  }
}

/** @param {EventPreview} preview of a spreadsheet @param {number} before seats */
function showPreview({ event, faults }, before) {
  const valid = event !== null && !faults.length;
  $("csv-add").hidden = !valid;
  if (valid) {
    $("csv-said").textContent = `${plural(seatsOf(event) - before, "new seat")} in it.`;
    return;
  }
  // Emptied, for to choose the same file again, once it is mended, would be no change of this field.
  inputOf("csv").value = "";
  showFaults("This spreadsheet cannot be taken.", faults.map((fault) => ({ ...fault, path: "$.csv" })));
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  send(false);
});
form.addEventListener("input", sum);
form.addEventListener("input", offerAllTurns);
$("picture-file").addEventListener("change", async () => {
  try {
    await upload();
  } catch (error) {
    await refuse(error);
  }
});
$("picture-remove").addEventListener("click", removePicture);
$("check").addEventListener("click", () => send(true));
$("add-type").addEventListener("click", () => {
  const type = addType(null);
  type.addBlock(false, { ...BLOCK, firstRow: 1 });
  type.field("ticketType").focus();
});
watchPlan({
  onTypes(names) {
    const given = types.filter((type) => !names.includes(type.facts.ticketType) && !type.facts.ticketType);
    for (const type of given) type.remove();
    for (const name of names) {
      if (types.some((type) => type.facts.ticketType === name)) continue;
      addType(null).field("ticketType").value = name;
    }
    sum();
  },
  async onSaved() {
    if (!known) return;
    show(await call("GET", `/api/ops/events/${known.eventId}`));
    await showLog(known.eventId);
    say("The plan is saved. Every page shows it within a second.", [], true);
  },
});
$("zones").replaceChildren(...zones().map((name) => new Option("", name)));
input("timeZone").addEventListener("input", () => known && followZone(known));
input("timeZone").value = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (data.eventId !== null) {
  $("csv").addEventListener("change", () => sendCsv(true));
  $("csv-add").addEventListener("click", () => sendCsv(false));
}
watchSignIn(() => enter(begin));
watchSession("view", data.eventId ?? 0);
await enter(begin);
if (location.search === "?made" && known) {
  say("The event is made, and on the fans’ list.", [], true);
  history.replaceState(null, "", location.pathname);
}
