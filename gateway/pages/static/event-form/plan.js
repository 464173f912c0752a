// @ts-check
// The hall plan on the form: a file is read by the server, drawn with its faults beside it, and only then taken.
import { below } from "../addresses.js";
import { call, Problem } from "../api.js";
import { $, buttonOf, inputOf, make } from "../dom.js";
import { plural } from "../words.js";
import { data } from "./form.js";
import { backgroundOf, offerBackground, watchBackground } from "./plan-background.js";
import { drawPlan } from "./plan-picture.js";

/** @import { Fault, PlanDocument, PlanDrawing, PlanOverview, PlanReading, PlanReport } from "../../contract.d.ts" */

const PATIENCE_SECONDS = 60; // A plan of many thousand seats takes its time.
const FAULTS_SHOWN_MAX = 20;

/** The plan that a new event is made with. @type {PlanDocument | null} */
let planOfNew = null;

/** The event's plan with another picture, which is yet to be saved. @type {PlanDocument | null} */
let unsaved = null;
/** What is drawn. @type {PlanDrawing | PlanOverview | null} */
let shown = null;

/** What a new event's body says of its plan. */
export const newPlan = () => planOfNew === null ? {} : { plan: planOfNew };

/** A file as the API takes it. @param {File} file */
async function contentOf(file) {
  if (!/\.json$/i.test(file.name)) return { body: file, type: "text/csv", format: "admitone" };
  const text = await file.text();
  // What is no JSON at all is told by the server, with the place of the fault.
  const isPretix = /"zones"\s*:/.test(text) && /"categories"\s*:/.test(text);
  return { body: text, type: "application/json", format: isPretix ? "pretix" : "admitone" };
}

/**
 * Send the chosen file.
 * @template Answer
 * @param {string} method @param {string} path
 * @param {Record<string, string>} query
 * @returns {Promise<Answer>}
 */
async function send(method, path, query) {
  const file = inputOf("plan-file").files?.[0];
  if (!file) throw new Error("no file is chosen");
  const { body, type, format } = await contentOf(file);
  const response = await fetch(below(`${path}?${new URLSearchParams({ ...query, format })}`), {
    method,
    body,
    headers: { "Content-Type": type, Accept: "application/json" },
    signal: AbortSignal.timeout(PATIENCE_SECONDS * 1000),
  }).catch(() => null);
  if (response === null) throw new Problem(0, null);
  const answer = await response.json();
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/** @param {Fault[]} faults */
function showPlanFaults(faults) {
  // Emptied, for to choose the same file again, once it is mended, would be no change of this field.
  if (faults.length) inputOf("plan-file").value = "";
  const list = $("plan-faults");
  list.replaceChildren(
    ...faults.slice(0, FAULTS_SHOWN_MAX).map(({ path, message, line }) => {
      const item = make("li");
      item.append(make("code", line ? `line ${line}` : path), ` ${message}`);
      return item;
    }),
  );
  if (faults.length > FAULTS_SHOWN_MAX) {
    list.append(make("li", `and ${faults.length - FAULTS_SHOWN_MAX} more`));
  }
  list.hidden = !faults.length;
}

/** @param {PlanDrawing | PlanOverview | null} drawing @param {string} words what it is a picture of */
async function showPicture(drawing, words) {
  const picture = /** @type {HTMLCanvasElement} */ ($("plan-picture"));
  picture.hidden = drawing === null;
  shown = drawing;
  if (!drawing) return;
  drawPlan(picture, drawing, words);
  const background = await backgroundOf(drawing.picture);
  if (background && shown === drawing) drawPlan(picture, drawing, words, background);
}

/** Draw what is drawn with another picture behind it. @param {PlanDocument} plan */
function showBackground({ picture }) {
  if (shown) showPicture({ ...shown, picture }, "The plan with its picture");
}

/** @param {PlanDrawing} drawing */
const seatsIn = (drawing) =>
  drawing.sections.reduce((sum, section) => sum + section.rows.reduce((of, row) => of + row.seats.length, 0), 0);

/** @param {PlanDrawing} drawing */
const sizeOf = (drawing) => `${plural(seatsIn(drawing), "seat")} in ${plural(drawing.sections.length, "section")}`;

/** @param {unknown} error */
function refusePlan(error) {
  if (!(error instanceof Problem)) throw error;
  showPicture(null, "");
  showPlanFaults(error.body.errors ?? []);
  $("plan-said").textContent = error.body.errors ? "This plan cannot be taken." : error.message;
}

/** Read the file for a new event. @param {(names: string[]) => void} onTypes is told the plan's ticket types */
async function readNew(onTypes) {
  planOfNew = null;
  offerBackground(null);
  /** @type {PlanReading} */
  const { faults, plan, drawing } = await send("POST", "/api/ops/plans", {});
  showPlanFaults(faults);
  showPicture(drawing, "The plan in the file");
  if (!plan || !drawing) {
    $("plan-said").textContent = "This plan cannot be taken.";
    return;
  }
  planOfNew = plan;
  offerBackground(plan);
  onTypes([...new Set(plan.sections.flatMap((section) => section.rows.map((row) => row.ticketType ?? "")))]);
  $("plan-said").textContent = `${sizeOf(drawing)}. The event is made with these seats.`;
}

/** Look what would become of the file. @param {number} eventId */
async function look(eventId) {
  buttonOf("plan-save").hidden = true;
  unsaved = null;
  offerBackground(null);
  /** @type {PlanReport} */
  const { faults, drawing, seatsAdded } = await send("PUT", `/api/ops/events/${eventId}/plan`, {
    dryRun: "true",
    addSeats: String(inputOf("plan-add").checked),
  });
  showPlanFaults(faults);
  showPicture(drawing ?? null, "The plan in the file");
  buttonOf("plan-save").hidden = faults.length > 0;
  const added = seatsAdded ? `, ${seatsAdded} of them new in the event` : "";
  $("plan-said").textContent = faults.length || !drawing
    ? "This plan cannot be taken."
    : `${sizeOf(drawing)}${added}. Nothing is saved yet.`;
}

/** Show the plan that the event has. @param {number} eventId */
export async function showPlan(eventId) {
  /** @type {PlanOverview} */
  const plan = await call("GET", `/api/events/${eventId}/plan`);
  buttonOf("plan-remove").hidden = plan.isGenerated;
  buttonOf("plan-save").hidden = true;
  unsaved = null;
  showPlanFaults([]);
  /** @type {PlanDocument | null} */
  const document = plan.isGenerated ? null : await call("GET", `/api/ops/events/${eventId}/plan`);
  // The overview's picture has the address that a browser asks for, the document's the one that is stored.
  showPicture({ ...plan, picture: document?.picture ?? null }, "The event’s plan");
  offerBackground(document);
  $("plan-said").textContent = plan.isGenerated
    ? "This plan is made of the ticket types, rows and seat numbers. Give the hall’s own from a file."
    : `This is the hall’s own plan${plan.name ? `, “${plan.name}”` : ""}.`;
}

/** @param {() => Promise<unknown>} work */
async function guarded(work) {
  try {
    await work();
  } catch (error) {
    refusePlan(error);
  }
}

/**
 * @param {{onTypes: (names: string[]) => void, onSaved: () => Promise<unknown>}} form is told a new event's ticket
 * types as the plan names them, and that the plan of an event was changed
 */
export function watchPlan({ onTypes, onSaved }) {
  const { eventId } = data;
  const file = inputOf("plan-file");
  watchBackground((plan) => {
    showBackground(plan);
    if (eventId === null) {
      planOfNew = plan;
      return;
    }
    unsaved = plan;
    buttonOf("plan-save").hidden = false;
    $("plan-said").textContent = "Nothing is saved yet.";
  }, guarded);
  if (eventId === null) {
    file.addEventListener("change", () => guarded(() => readNew(onTypes)));
    return;
  }
  const lookAgain = () => file.files?.length && guarded(() => look(eventId));
  file.addEventListener("change", lookAgain);
  inputOf("plan-add").addEventListener("change", lookAgain);
  const saved = async () => {
    file.value = "";
    await showPlan(eventId);
    await onSaved();
  };
  buttonOf("plan-save").addEventListener("click", () =>
    guarded(async () => {
      const path = `/api/ops/events/${eventId}/plan`;
      const addSeats = String(inputOf("plan-add").checked);
      if (unsaved) await call("PUT", path, { body: unsaved, patience: PATIENCE_SECONDS });
      else await send("PUT", path, { addSeats });
      await saved();
    }));
  buttonOf("plan-remove").addEventListener("click", () =>
    guarded(async () => {
      await call("DELETE", `/api/ops/events/${eventId}/plan`, { patience: PATIENCE_SECONDS });
      await saved();
    }));
}
