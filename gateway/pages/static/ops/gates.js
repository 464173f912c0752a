// @ts-check
// How many tickets of the event in view were let in at its gates, asked for every few seconds once a gate has begun.
import { call, Problem } from "../api.js";
import { $, make, setText } from "../dom.js";
import { plural } from "../words.js";
import { figure } from "./words.js";

/** @import { EntryCounts } from "../../contract.d.ts" */

const ASK_MS = 3000;
const ASK_MS_IDLE = 30_000; // While nobody was let in, there is nothing to watch.
let eventId = 0;
let asked = 0;

/** @param {EntryCounts} counts */
function draw({ sold, entries, conflicts, gates, ticketTypes }) {
  $("gates").hidden = !entries && !conflicts;
  setText($("gates-all"), `${figure(entries)} of ${figure(sold)} let in`);
  setText(
    $("gates-conflicts"),
    conflicts ? `${plural(conflicts, "conflict")} of gates without a network: see Check-in.` : "",
  );
  $("gates-conflicts").hidden = !conflicts;
  $("gates-list").replaceChildren(
    ...gates.map(({ gate, entries }) => make("li", `Gate ${gate}: ${figure(entries)}`)),
    ...ticketTypes.map((one) => make("li", `${one.ticketType}: ${figure(one.entries)} of ${figure(one.sold)}`)),
  );
}

async function ask() {
  const about = eventId;
  let idle = true;
  if (about && !document.hidden) {
    try {
      /** @type {EntryCounts} */
      const counts = await call("GET", `/api/ops/rooms/${about}/entries`);
      if (about !== eventId) return;
      draw(counts);
      idle = !counts.entries;
    } catch (error) {
      // The console says by itself that the server does not answer, or that nobody is signed in.
      if (!(error instanceof Problem)) throw error;
    }
  }
  if (about === eventId) asked = setTimeout(ask, idle ? ASK_MS_IDLE : ASK_MS);
}

/** Watch the gates of this event from now on. @param {number} inView */
export function watchGates(inView) {
  if (inView === eventId) return;
  eventId = inView;
  $("gates").hidden = true;
  clearTimeout(asked);
  ask();
}
