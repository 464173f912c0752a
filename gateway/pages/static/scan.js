// @ts-check
// Check-in at a gate: reads tickets, asks the server about each, and does without it where there is no network.
import { below } from "./addresses.js";
import { call, now, Problem } from "./api.js";
import { $, buttonOf, formOf, inputOf, make, readData, setText } from "./dom.js";
import { momentWords } from "./moments.js";
import { askToSignIn, attempt, readOperator, say, signedOut, watchSession, watchSignIn } from "./operator.js";
import { Camera } from "./scan/camera.js";
import { Feedback } from "./scan/feedback.js";
import { GateList, joined } from "./scan/list.js";
import { GateStore } from "./scan/store.js";
import { readTicket, tidied } from "./scan/ticket.js";
import { plural } from "./words.js";

/** @import { ConflictAnswer, EntryAnswer, FoundTicketAnswer, FoundTickets, GateEvents, GateEventAnswer, GateStanding, SyncedScans, TicketList } from "../contract.d.ts" */
/** @import { KeptList, Verdict } from "./scan/list.js" */
/** @import { KeptScan } from "./scan/store.js" */

const VIEW = "scan";
const COUNTED_SECONDS = 1;
const ENTER_SECONDS = 4; // A steward does not wait longer: then the signature and the list decide.
const SYNC_MS = 5000;
const LIST_MS = 300_000;
const SYNCED_TOGETHER_MAX = 50;
/** @type {{reader: string, worker: string}} */
const addresses = readData("scan-data");
const feedback = new Feedback();
const camera = new Camera(
  /** @type {HTMLVideoElement} */ ($("video")),
  addresses.reader,
  (text) => scanned(text),
);
/** @type {GateStore} */
let store;
let device = "";
let gate = "";
/** @type {GateEventAnswer | null} */
let event = null;
let list = new GateList(null);
/** @type {KeptScan[]} */
let waiting = [];
/** Takes the last entry back. @type {(() => Promise<void>) | null} */
let takeBack = null;
let isOnline = true;
let isSyncing = false;
let isBusy = false;
/** @type {number | undefined} */
let standingDue;

/** The path of the chosen event's check-in. @param {string} [rest] */
const path = (rest = "") => `/api/ops/events/${event?.eventId}/${rest}`;

/** @param {string} at */
const clockWords = (at) => momentWords(at, "clock");

/** @param {unknown} error */
const isNoNetwork = (error) => error instanceof Problem && (error.status === 0 || error.status >= 500);

/** An id for a scan, like crypto.randomUUID, which pages without TLS have not. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** @param {boolean} online */
function showNetwork(online) {
  isOnline = online;
  const { length } = waiting;
  setText(
    $("network"),
    `${online ? "Online" : "No network"}${length ? ` · ${plural(length, "scan")} to sync` : ""}`,
  );
  $("network").className = online ? "tag" : "tag is-shut";
  buttonOf("sync").disabled = !length;
}

// -- scans

/**
 * @param {Verdict} verdict
 * @param {(() => Promise<void>) | null} [undo]
 */
function show(verdict, undo = null) {
  const { result, words, place, ticketType, use } = verdict;
  feedback.give(result);
  takeBack = undo;
  buttonOf("undo").hidden = !undo;
  $("verdict").className = `verdict is-${result}`;
  const heading = { admitted: "Let in", used: "Used already", refused: "Do not let in" }[result];
  $("verdict-title").textContent = `${{ admitted: "✓", used: "✕", refused: "✕" }[result]} ${heading}`;
  $("verdict-place").textContent = [ticketType, place].filter(Boolean).join(" · ");
  $("verdict-words").textContent = use ? `${words} It was at ${clockWords(use.scannedAt)}.` : words;
}

/** A text that the camera or the form read. @param {string} typed */
async function scanned(typed) {
  const text = tidied(typed);
  if (!text || isBusy || !event) return;
  isBusy = true;
  try {
    await enter({ ticket: text });
  } finally {
    isBusy = false;
  }
}

/** @param {{ticket: string} | {seat: object}} which */
async function enter(which) {
  const scanId = newId();
  // A gate does not wait for a network that was away a moment ago; what is asked every few seconds finds it again.
  if (!isOnline && "ticket" in which) return await enterAlone(which.ticket, scanId);
  try {
    /** @type {EntryAnswer} */
    const entry = await call("POST", path("entries"), {
      body: { ...which, gate, deviceId: device, scanId },
      patience: ENTER_SECONDS,
    });
    if ("ticket" in which) await noteUse(which.ticket, entry.gate, entry.scannedAt);
    show(
      { result: "admitted", words: "", place: entry.place, ticketType: entry.ticketType, use: null },
      async () => {
        await call("DELETE", path(`entries/${entry.entryId}`));
        if ("ticket" in which) list.forget(await readTicket(which.ticket, []));
      },
    );
    showNetwork(true);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) return askToSignIn(VIEW);
    if (isNoNetwork(error) && "ticket" in which) return await enterAlone(which.ticket, scanId);
    const body = /** @type {{place?: string, gate?: string, scannedAt?: string}} */ (error.body);
    const use = body.gate && body.scannedAt ? { gate: body.gate, scannedAt: body.scannedAt } : null;
    const result = error.code === "ticket_used" ? "used" : "refused";
    show({ result, words: error.message, place: body.place ?? "", ticketType: "", use });
  }
  readStandingSoon();
}

/** @param {string} text @param {string} at @param {string} scannedAt */
async function noteUse(text, at, scannedAt) {
  list.note(await readTicket(text, list.kept?.keys ?? []), { gate: at, scannedAt });
}

/** Without a network: by the signature, the list, and what this device let in. @param {string} text @param {string} scanId */
async function enterAlone(text, scanId) {
  showNetwork(false);
  if (!event) return;
  const { eventId } = event;
  const ticket = await readTicket(text, list.kept?.keys ?? []);
  const verdict = list.judge(ticket, eventId);
  if (verdict.result !== "admitted") return show(verdict);
  const scan = { scanId, eventId, ticket: text, gate, scannedAt: new Date(now()).toISOString() };
  // It is kept before the steward sees green: what was let in must be synced, whatever becomes of the page.
  await store.keep(scan);
  waiting.push(scan);
  list.note(ticket, scan);
  show(verdict, async () => {
    if (!waiting.includes(scan)) {
      throw new Problem(0, { detail: "This entry was synced already; find its ticket below." });
    }
    waiting = waiting.filter((one) => one !== scan);
    await store.drop([scanId]);
    list.forget(ticket);
  });
  showNetwork(false);
}

async function undo() {
  const undoing = takeBack;
  if (!undoing) return;
  try {
    await undoing();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) return askToSignIn(VIEW);
    say(isNoNetwork(error) && !error.body.detail ? "Only with a network can this be undone." : error.message);
    return;
  }
  takeBack = null;
  buttonOf("undo").hidden = true;
  $("verdict").className = "verdict";
  $("verdict-title").textContent = "Undone";
  $("verdict-words").textContent = "The ticket can be scanned again.";
  showNetwork(isOnline);
  if (isOnline) readStandingSoon();
}

// -- sync

/** Send what was let in without a network. A scan is dropped only once the server has answered for it. */
async function sync() {
  if (isSyncing || !waiting.length) return;
  isSyncing = true;
  try {
    while (waiting.length) {
      const { eventId } = waiting[0];
      const scans = waiting.filter((scan) => scan.eventId === eventId).slice(0, SYNCED_TOGETHER_MAX);
      /** @type {SyncedScans} */
      const answer = await call("POST", `/api/ops/events/${eventId}/entries/sync`, {
        body: {
          deviceId: device,
          scans: scans.map(({ scanId, ticket, gate, scannedAt }) => ({ scanId, ticket, gate, scannedAt })),
        },
      });
      for (const { scanId, result, entryId } of answer.scans) {
        const isUndone = !waiting.some((scan) => scan.scanId === scanId);
        if (isUndone && result === "admitted") await call("DELETE", `/api/ops/events/${eventId}/entries/${entryId}`);
      }
      const done = answer.scans.map(({ scanId }) => scanId);
      await store.drop(done);
      waiting = waiting.filter(({ scanId }) => !done.includes(scanId));
      const conflicts = answer.scans.filter(({ result }) => result !== "admitted").length;
      if (conflicts) say(`${plural(conflicts, "ticket")} let in without a network ought not to have been: see below.`);
    }
    showNetwork(true);
    await readStanding();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) askToSignIn(VIEW);
    else if (!isNoNetwork(error)) say(error.message);
    showNetwork(!isNoNetwork(error));
  } finally {
    isSyncing = false;
  }
}

/** Read the list of valid tickets anew, and keep it. */
async function readList() {
  if (!event) return;
  const { eventId } = event;
  /** @type {TicketList[]} */
  const parts = [];
  /** @type {string | null} */
  let cursor = "";
  while (cursor !== null) {
    /** @type {TicketList} */
    const part = await call("GET", path(`tickets/valid${cursor && `?cursor=${cursor}`}`));
    parts.push(part);
    cursor = part.next;
  }
  if (event.eventId !== eventId) return;
  const kept = joined(parts);
  await store.setFact(`list-${eventId}`, kept);
  await useList(kept);
}

/** @param {KeptList | null} kept */
async function useList(kept) {
  list = new GateList(kept);
  for (const scan of waiting) {
    if (scan.eventId === event?.eventId) await noteUse(scan.ticket, scan.gate, scan.scannedAt);
  }
  $("list-state").textContent = kept
    ? `${plural(kept.tickets.length, "valid ticket")} kept at ${clockWords(kept.readAt)}.`
    : "No list is kept: without a network, signatures alone decide.";
}

// -- counts, conflicts, search

/** Show the counts after a scan or what undid one. The server counts once a second, however many gates ask. */
function readStandingSoon() {
  standingDue ??= setTimeout(() => {
    standingDue = undefined;
    readStanding();
  }, 1000 * COUNTED_SECONDS);
}

async function readStanding() {
  if (!event) return;
  try {
    /** @type {GateStanding} */
    const { counts, conflicts } = await call("GET", path("entries"), { patience: ENTER_SECONDS });
    const here = counts.gates.find((one) => one.gate === gate)?.entries ?? 0;
    setText($("count-here"), String(here));
    setText($("count-all"), `${counts.entries} of ${counts.sold}`);
    $("types").replaceChildren(
      ...counts.ticketTypes.map((one) => make("li", `${one.ticketType}: ${one.entries} of ${one.sold}`)),
    );
    $("conflicts").hidden = !conflicts.length;
    $("conflict-list").replaceChildren(...conflicts.map(conflictLine));
    showNetwork(true);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) askToSignIn(VIEW);
    else if (isNoNetwork(error)) showNetwork(false);
  }
}

/** @type {Record<string, string>} */
const WHY = {
  used: "was used already",
  cancelled: "was given back",
  event_cancelled: "is for a cancelled event",
  handed_on: "was handed on",
  unknown: "is not known",
};

/** @param {ConflictAnswer} conflict */
function conflictLine(conflict) {
  const item = make("li");
  const other = conflict.entryGate
    ? ` The other one: gate ${conflict.entryGate}, ${
      clockWords(conflict.entryScannedAt ?? "")
    }, by ${conflict.entryOperator}.`
    : "";
  item.append(
    make("b", `${conflict.place || "A ticket"} ${WHY[conflict.why] ?? conflict.why}`),
    make(
      "p",
      `Let in at gate ${conflict.gate}, ${clockWords(conflict.scannedAt)}, by ${conflict.operator}.${other}`,
      "muted small",
    ),
  );
  return item;
}

/** @param {FoundTicketAnswer} ticket */
function foundLine(ticket) {
  const item = make("li");
  const box = make("div");
  const where = [ticket.ticketType, ticket.place].filter(Boolean).join(" · ");
  const state = ticket.cancelled
    ? "given back"
    : ticket.enteredAt
    ? `let in at gate ${ticket.gate}, ${clockWords(ticket.enteredAt)}`
    : "not let in yet";
  box.append(make("b", where), make("p", `${state} · order ${ticket.purchaseId}`, "muted small"));
  item.append(box);
  if (ticket.cancelled) return item;
  const button = make("button", ticket.entryId ? "Undo" : "Let in", "button quiet");
  button.type = "button";
  button.setAttribute("aria-label", `${button.textContent}: ${where}`);
  button.addEventListener("click", () =>
    attempt(VIEW, async () => {
      const { purchaseId, ticketTypeId, rowNumber, seatNumber } = ticket;
      if (ticket.entryId) await call("DELETE", path(`entries/${ticket.entryId}`));
      else await enter({ seat: { purchaseId, ticketTypeId, rowNumber, seatNumber } });
      await search();
    }));
  item.append(button);
  return item;
}

async function search() {
  const sought = String(new FormData(formOf("search")).get("q")).trim();
  /** @type {FoundTickets} */
  const { tickets } = await call("GET", path(`tickets?${new URLSearchParams({ q: sought })}`));
  $("found-none").hidden = tickets.length > 0;
  $("found").replaceChildren(...tickets.map(foundLine));
}

// -- the gate

/** @param {GateEventAnswer[]} events */
function offerEvents(events) {
  const menu = /** @type {HTMLSelectElement} */ ($("event"));
  menu.replaceChildren(
    ...events.map((one) => new Option(`${momentWords(one.date, "date")} · ${one.name}`, String(one.eventId))),
  );
  if (event) menu.value = String(event.eventId);
  $("no-events").hidden = events.length > 0;
  buttonOf("begin").disabled = !events.length;
}

/** Open the gate: from now on tickets are scanned. */
async function open() {
  if (!event) return;
  $("setup").hidden = true;
  $("gate").hidden = false;
  $("gate-title").textContent = `${gate} · ${event.name}`;
  await useList(await store.fact(`list-${event.eventId}`) ?? null);
  await startCamera();
  if (isOnline) await refresh();
}

async function startCamera() {
  const words = $("camera-words");
  try {
    await camera.start();
    words.hidden = true;
    $("video").hidden = false;
  } catch {
    $("video").hidden = true;
    words.hidden = false;
    inputOf("ticket").focus();
  }
  buttonOf("torch").hidden = !camera.hasTorch();
}

function close() {
  camera.stop();
  $("gate").hidden = true;
  $("setup").hidden = false;
}

async function refresh() {
  try {
    await readList();
    await readStanding();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) askToSignIn(VIEW);
    else if (isNoNetwork(error)) showNetwork(false);
    else say(error.message);
  }
}

async function begin() {
  store ??= await GateStore.open(below(""));
  device = await store.fact("device") ?? "";
  if (!device) await store.setFact("device", device = newId());
  gate = await store.fact("gate") ?? "";
  event = await store.fact("event") ?? null;
  waiting = await store.scans();
  inputOf("gate-name").value = gate;
  try {
    await readOperator();
    /** @type {GateEvents} */
    const { events } = await call("GET", "/api/ops/gates");
    offerEvents(events);
    showNetwork(true);
  } catch (error) {
    if (!isNoNetwork(error)) throw error;
    // The page opened without a network: it goes on with the event that it had.
    offerEvents(event ? [event] : []);
    showNetwork(false);
  }
  $("sign-in").hidden = true;
  $(VIEW).hidden = false;
  await sync();
}

formOf("setup").addEventListener("submit", (submit) => {
  submit.preventDefault();
  feedback.allow();
  attempt(VIEW, async () => {
    const menu = /** @type {HTMLSelectElement} */ ($("event"));
    gate = inputOf("gate-name").value.trim();
    if (isOnline) {
      /** @type {GateEvents} */
      const { events } = await call("GET", "/api/ops/gates");
      event = events.find(({ eventId }) => String(eventId) === menu.value) ?? null;
    }
    await store.setFact("gate", gate);
    await store.setFact("event", event);
    await open();
  });
});
formOf("manual").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const field = inputOf("ticket");
  scanned(field.value);
  field.value = "";
  field.focus();
});
formOf("search").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, search);
});
buttonOf("undo").addEventListener("click", undo);
buttonOf("sync").addEventListener("click", sync);
buttonOf("list-again").addEventListener("click", refresh);
buttonOf("change-gate").addEventListener("click", close);
buttonOf("torch").addEventListener("click", async () => {
  const button = buttonOf("torch");
  const on = button.getAttribute("aria-pressed") !== "true";
  await camera.setTorch(on);
  button.setAttribute("aria-pressed", String(on));
});
addEventListener("online", () => {
  sync();
  if (!$("gate").hidden) readStanding();
});
addEventListener("offline", () => showNetwork(false));
setInterval(() => {
  if (document.hidden) return;
  sync();
  if (!$("gate").hidden) readStanding();
}, SYNC_MS);
setInterval(() => {
  if (!$("gate").hidden && isOnline) refresh();
}, LIST_MS);

// The service worker keeps this page, so that it opens without a network. Pages without TLS have none.
navigator.serviceWorker?.register(addresses.worker, { scope: below("/scan") }).catch(() => {});
watchSignIn(() => attempt(VIEW, begin));
watchSession(VIEW);
attempt(VIEW, begin);
