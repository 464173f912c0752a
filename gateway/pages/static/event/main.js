// @ts-check
// One event's page, from the line to the checkout. The server's words change one state (state.js); every room of this
// page shows its part of it.
import "../local-times.js";
import { call } from "../api.js";
import { hasSession } from "../session.js";
import { Called } from "./called.js";
import { Checkout } from "./checkout.js";
import { Choose } from "./choose.js";
import { drawnContext } from "./context.js";
import { Handover } from "./handover.js";
import { History } from "./history.js";
import { Joining } from "./joining.js";
import { Line } from "./line.js";
import { Lobby } from "./lobby.js";
import { OtherHolds } from "./other-holds.js";
import { keepPlace } from "./storage.js";
import { Work } from "./work.js";

/** @import { Stage } from "./state.js" */

const REBUILDING_SECONDS = 10;

const context = drawnContext();
const { alert, event, page, store, tab } = context;
const line = new Line(context);
const lobby = new Lobby(context);
const joining = new Joining(context);
const called = new Called(context);
const otherHolds = new OtherHolds(context);
const choose = new Choose(context, otherHolds);
const checkout = new Checkout(context, choose);
const history = new History(context);
const work = new Work(context);
const handover = new Handover(context);
store.listeners.push(
  keepPlace(event.eventId),
  ...[page, tab, alert, line, lobby, joining, called, choose, checkout, otherHolds, history, work, handover].map((
    room,
  ) => room.show.bind(room)),
);

// A phone that wakes up has missed news, and its stream may be dead without knowing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && line.stream) context.ask();
});
addEventListener("online", () => (line.stream ?? choose.live)?.open());
addEventListener("pageshow", (shown) => {
  if (shown.persisted) location.reload();
});

/** @type {Stage[]} */
const NEEDS_PLACE = ["lobby", "waiting", "called", "choose"];

async function begin() {
  await handover.take();
  joining.show(store.state, store.state);
  if (hasSession()) {
    try {
      await otherHolds.read();
      const [hold] = store.state.holds;
      if (hold) return store.dispatch({ type: "held", hold });
    } catch {
      // No hold can be read now; the place still can.
    }
  }
  const { opensAt, roomState, stage, standing, token } = store.state;
  // A page that a cache has kept does not tell the server's clock, and a stranger has asked for nothing yet.
  if (stage === "early" && !hasSession()) await call("GET", `/api/initial-call/${event.eventId}`).catch(() => {});
  if (roomState === "off") {
    if (stage === "early") return lobby.awaitOpening(Date.parse(opensAt));
    // Where nothing is sold any more, the page goes on saying so.
    if (stage === "choose") store.dispatch({ type: "news", news: { roomState } });
    return;
  }
  // A cache may have given everybody's page to a fan who has a place.
  const isUnsaid = !event.own && hasSession();
  if (standing || token || isUnsaid) return context.ask(NEEDS_PLACE.includes(stage) ? "join" : stage);
  if (stage === "sold_out") line.watchForReturns();
  if (stage === "early") lobby.awaitOpening(Date.parse(opensAt));
  if (stage === "rebuilding") store.dispatch({ type: "retryLater", seconds: REBUILDING_SECONDS });
}
begin();
