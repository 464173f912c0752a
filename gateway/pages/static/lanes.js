// @ts-check
// Lanes: which of them books which event, and how an event gets another one while it is sold.
import { call } from "./api.js";
import { $, formOf, make, setText } from "./dom.js";
import { line, lineButton } from "./lines.js";
import { momentWords } from "./moments.js";
import { askToSignIn, attempt, readOperator, say, signedOut, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";
import { plural } from "./words.js";

/** @import { LaneAnswer, LaneList, RoomList } from "../contract.d.ts" */

const VIEW = "lanes";
const API = "/api/ops/lanes";
const READ_MS = 2000;
const moving = formOf("move");
const sharing = formOf("share");
/** @param {HTMLFormElement} form @param {string} name */
const field = (form, name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
let drawn = "";

/** @param {number} eventId @param {number | null} lane */
async function move(eventId, lane) {
  /** @type {LaneList} */
  const found = await call("POST", `${API}/moves`, { body: { eventId, lane } });
  draw(found);
  const now = lane === null ? "the lane of its number" : `lane ${lane}`;
  say(`Event ${eventId} is booked on ${now} from now on.`, [], true);
}

/** @param {LaneAnswer} one @param {number} shared */
function laneLine(one, shared) {
  const about = [
    one.hasWorker ? `${count(one.batches)} ${one.batches === 1 ? "batch waits" : "batches wait"}` : "",
    one.sharesEvents
      ? (shared === 1 ? "all events without a lane of their own" : `every ${shared}th event`)
      : "events that were moved here alone",
    one.handsOver ? "has yet to hand over" : "",
  ].filter(Boolean).join(" · ");
  const backs = one.movedHere.map(({ eventId, name }) => {
    const button = lineButton(
      `${name || "deleted"} (${eventId}): move back`,
      `Move event ${eventId} back`,
      () => attempt(VIEW, () => move(eventId, null)),
    );
    button.dataset.needs = "owner";
    return button;
  });
  const item = line(`Lane ${one.lane}`, about, ...backs);
  if (!one.hasWorker) {
    item.firstElementChild?.append(make("p", "It has no worker: its bookings wait for one.", "is-trouble"));
  }
  return item;
}

/** @param {LaneList} found */
function draw(found) {
  // A list under somebody's finger or reader is not drawn anew for nothing.
  const key = JSON.stringify(found);
  if (key === drawn) return;
  drawn = key;
  $("list").replaceChildren(...found.lanes.map((one) => laneLine(one, found.count)));
  const by = found.madeBy && found.madeAt ? `Set by ${found.madeBy}, ${momentWords(found.madeAt, "date")}.` : "";
  setText($("set-by"), `${plural(found.count, "lane")} by number. ${by || "Set by ADMITONE_LANES."}`);
}

async function read() {
  /** @type {LaneList} */
  const found = await call("GET", API);
  draw(found);
  return found;
}

async function show() {
  await readOperator();
  /** @type {RoomList} */
  const { rooms } = await call("GET", "/api/ops/rooms");
  const chosen = field(moving, "event");
  const before = chosen.value;
  chosen.replaceChildren(...rooms.map((room) => {
    const option = make("option", `${room.name}, ${momentWords(room.date, "date")} (${room.eventId})`);
    option.value = String(room.eventId);
    return option;
  }));
  if (before) chosen.value = before;
  field(sharing, "count").value = String((await read()).count);
  $("sign-in").hidden = true;
  $(VIEW).hidden = false;
}

moving.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, () => move(Number(field(moving, "event").value), Number(field(moving, "lane").value)));
});
sharing.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    /** @type {LaneList} */
    const found = await call("PUT", API, { body: { count: Number(field(sharing, "count").value) } });
    draw(found);
    say(`${plural(found.count, "lane")} by number from now on.`, [], true);
  });
});
setInterval(async () => {
  if (document.hidden || $(VIEW).hidden) return;
  try {
    await read();
  } catch (error) {
    if (signedOut(error)) askToSignIn(VIEW);
  }
}, READ_MS);

watchSignIn(() => attempt(VIEW, show));
watchSession(VIEW);
attempt(VIEW, show);
