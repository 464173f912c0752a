// @ts-check
// The operators' console: every room live, one of them in full.
import { below } from "./addresses.js";
import { call, now, Problem } from "./api.js";
import { $, inputOf, setText } from "./dom.js";
import { eventWords } from "./moments.js";
import { askToSignIn, readOperator, showAllowed, signedOut, watchSignIn } from "./operator.js";
import { Alarm } from "./ops/alarm.js";
import { Charts, WALL } from "./ops/charts.js";
import { Controls } from "./ops/controls.js";
import { drawFans } from "./ops/fans.js";
import { drawFigures, tone } from "./ops/figures.js";
import { watchGates } from "./ops/gates.js";
import { showLog } from "./ops/log.js";
import { Steps } from "./ops/steps.js";
import { figure, STATES } from "./ops/words.js";
import { OtherTabs } from "./other-tabs.js";
import { SharedStream } from "./shared-stream.js";

/** @import { RoomAnswer, RoomList } from "../contract.d.ts" */

const STALE_MS = 4000;
const GONE_MS = 6000; // A room that has sent no news for so long, while others have, is gone.
const ASKED_AGAIN_MS = 10_000;
const SEARCHED_ROOMS_MIN = 8; // With fewer rooms no search is offered.
/** @type {Map<number, RoomAnswer>} */
const rooms = new Map();
/** @type {Map<number, HTMLElement>} */
const listed = new Map();
/** When each room last sent news, in ms. @type {Map<number, number>} */
const heardAt = new Map();
let chosen = 0;
const menu = /** @type {HTMLSelectElement} */ ($("room-menu"));

/** @param {string} text */
function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}
/** @param {string} text */
const announce = (text) => ($("announcer").textContent = text);

const controls = new Controls({ say, announce, signIn, drawn: show });
const charts = new Charts($("charts"));
const steps = new Steps({
  say,
  changed: (room, before) => {
    controls.keepUp(before, room.revision);
    show(room);
  },
});
const alarm = new Alarm();
document.body.classList.toggle("wall", WALL);

/** A room by what tells the nights of a tour apart. @param {RoomAnswer} room */
function label({ date, name, shop, timeZone, venue }) {
  if (shop) return [venue, name].filter(Boolean).join(" · ");
  const { day, month } = eventWords(date, timeZone);
  return [`${day} ${month}`, venue.split(",").pop()?.trim(), name].filter(Boolean).join(" · ");
}

// -- rooms

/** @param {RoomAnswer} news a room as it is now */
function show(news) {
  heardAt.set(news.eventId, Date.now());
  const known = rooms.get(news.eventId);
  // News of two gateways, or an answer and the stream, may overtake each other: a room does not go back.
  if (known && news.revision < known.revision) return;
  rooms.set(news.eventId, news);
  if (!known) $("no-rooms").hidden = true;
  if (!chosen) choose();
  list(news);
  if (news.eventId === chosen) draw(news);
}

/** @param {RoomAnswer} room */
function draw(room) {
  $("room").hidden = false;
  // A shop's room has no seats of ours: nothing is said of any.
  document.body.classList.toggle("is-shop", Boolean(room.shop));
  drawFigures(room, now());
  controls.draw(room);
  charts.show(room);
  steps.show(room);
  drawFans(room, charts.soldOutAt(room), now());
  alarm.show(room, now());
  watchGates(room.eventId);
  showLog(room.eventId, room.revision, (entries) => controls.offerUndo(entries));
  document.title = `${room.state === "open" ? "" : `${STATES[room.state]} · `}${figure(room.waiting)} in line · ${
    label(room)
  }`;
}

/** The room in the address, else the one with the longest line. */
function choose() {
  const asked = Number(location.hash.slice(1));
  const known = [...rooms.values()];
  const first =
    known.sort((a, b) =>
      Number(tone(a.state) === "is-shut") - Number(tone(b.state) === "is-shut") || b.waiting - a.waiting ||
      b.eventId - a.eventId
    )[0];
  const room = rooms.get(asked) ?? rooms.get(chosen) ?? first;
  if (!room) return;
  chosen = room.eventId;
  showAllowed(chosen);
  /** @type {HTMLAnchorElement} */ ($("fans-page")).href = below(`/events/${chosen}`);
  /** @type {HTMLAnchorElement} */ ($("event-form")).href = below(`/ops/events/${chosen}`);
  /** @type {HTMLAnchorElement} */ ($("codes-page")).href = below(`/ops/rooms/${chosen}/codes`);
  /** @type {HTMLAnchorElement} */ ($("waiting-page")).href = below(`/ops/rooms/${chosen}/waiting-list`);
  /** @type {HTMLAnchorElement} */ ($("wall-link")).href = below(`/ops?wall#${chosen}`);
  for (const [eventId, item] of listed) mark(eventId, item);
  menu.value = String(chosen);
  draw(room);
}

/** @param {number} eventId @param {HTMLElement} item */
function mark(eventId, item) {
  const link = /** @type {HTMLElement} */ (item.firstElementChild);
  if (eventId === chosen) {
    link.setAttribute("aria-current", "true");
    link.scrollIntoView({ block: "nearest", inline: "nearest" });
  } else link.removeAttribute("aria-current");
}

/** @param {RoomAnswer} room */
function list(room) {
  let item = listed.get(room.eventId);
  if (!item) {
    item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `#${room.eventId}`;
    for (const name of ["room-name", "tag", "room-line"]) {
      const part = document.createElement("span");
      part.className = name;
      link.append(part);
    }
    item.append(link);
    listed.set(room.eventId, item);
    $("room-list").append(item);
    menu.append(new Option("", String(room.eventId)));
    mark(room.eventId, item);
    $("rooms").hidden = listed.size < 2;
    $("find").hidden = listed.size < SEARCHED_ROOMS_MIN;
    find();
  }
  const [name, state, line] = /** @type {HTMLElement} */ (item.firstElementChild).children;
  const words = [label(room), STATES[room.state] ?? room.state, `${figure(room.waiting)} in line`];
  [name, state, line].forEach((part, i) => {
    setText(part, words[i]);
  });
  const option = menu.querySelector(`[value="${room.eventId}"]`);
  if (option) setText(option, `${words[0]} (${words[2]})`);
  if (room.eventId === chosen) menu.value = String(chosen);
  state.className = `tag ${tone(room.state)}`;
}

/** A room is gone, as a rehearsal's after its end. @param {number} eventId */
function forget(eventId) {
  heardAt.delete(eventId);
  rooms.delete(eventId);
  listed.get(eventId)?.remove();
  listed.delete(eventId);
  menu.querySelector(`[value="${eventId}"]`)?.remove();
  $("rooms").hidden = listed.size < 2;
  $("find").hidden = listed.size < SEARCHED_ROOMS_MIN;
  $("no-rooms").hidden = rooms.size > 0;
  if (eventId !== chosen) return;
  chosen = 0;
  $("room").hidden = true;
  choose();
}

function find() {
  const sought = inputOf("find").value.trim().toLowerCase();
  for (const [eventId, item] of listed) {
    const room = rooms.get(eventId);
    item.hidden = !(room ? label(room) : "").toLowerCase().includes(sought);
  }
}
$("find").addEventListener("input", find);
addEventListener("hashchange", choose);
menu.addEventListener("input", () => (location.hash = menu.value));

// -- the session and the stream

const tabs = new OtherTabs("console");
/** @type {SharedStream | null} */
let stream = null;

function signIn() {
  stream?.close();
  stream = null;
  $("bar-ops").hidden = true;
  askToSignIn("console");
}

async function begin() {
  /** @type {RoomList} */
  let news;
  try {
    const operator = await readOperator();
    $("operator").textContent = operator.name;
    news = await call("GET", "/api/ops/rooms");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) return signIn();
    $("console").hidden = false;
    say("The server does not answer. Trying again…");
    setTimeout(begin, 3000);
    return;
  }
  say("");
  $("sign-in").hidden = true;
  $("bar-ops").hidden = false;
  $("console").hidden = false;
  for (const room of news.rooms) rooms.set(room.eventId, room);
  news.rooms.forEach(show);
  $("no-rooms").hidden = rooms.size > 0;
  stream = new SharedStream(tabs, "console", () => "/api/ops/stream", {
    room: show,
    bye: () => {},
    "signed-out": signIn,
  }, age);
}

/** Old figures must look old. */
function age() {
  if (!stream) return;
  const ms = Date.now() - stream.heardAt;
  const stale = !stream.connected || (rooms.size > 0 && ms > STALE_MS);
  const words = stale ? `Reconnecting… figures are ${Math.round(ms / 1000)} s old` : "Live";
  setText($("connection"), words);
  $("connection").classList.toggle("is-lost", stale);
  $("room").classList.toggle("is-stale", stale && ms > STALE_MS);
  if (stale && ms > STALE_MS) {
    alarm.show(null, now());
    checkSession();
  }
  if (stale) return;
  for (const [eventId, at] of heardAt) if (stream.heardAt - at > GONE_MS) forget(eventId);
}

let asking = false;
/** A stream does not say why it is refused; it may be that the session has ended. */
async function checkSession() {
  if (asking) return;
  asking = true;
  try {
    await call("GET", "/api/ops/session", { patience: 5 });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) return signIn();
  } finally {
    setTimeout(() => (asking = false), ASKED_AGAIN_MS);
  }
}
setInterval(age, 1000);

addEventListener("pageshow", (shown) => {
  if (shown.persisted) location.reload();
});

watchSignIn(begin);

$("sign-out").addEventListener("click", async () => {
  try {
    await call("DELETE", "/api/ops/session");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status !== 401) return say("The server does not answer: you are still signed in.");
  }
  location.reload();
});

begin();
