// @ts-check
// The page of a line before somebody else's shop: it joins by itself, and leaves for the shop once its fan is let in.
import "../local-times.js";
import { pageAddress } from "../addresses.js";
import { Called } from "./called.js";
import { drawnContext } from "./context.js";
import { Handover } from "./handover.js";
import { History } from "./history.js";
import { Joining } from "./joining.js";
import { Line } from "./line.js";
import { Lobby } from "./lobby.js";
import { keepPlace } from "./storage.js";

/** @import { Stage, State } from "./state.js" */

const REBUILDING_SECONDS = 10;
/** @type {Stage[]} */
const NEEDS_PLACE = ["lobby", "waiting", "called", "choose"];

const context = drawnContext();
const { alert, event, page, store, tab } = context;
const line = new Line(context);
const lobby = new Lobby(context);
const joining = new Joining(context);
const called = new Called(context);
const history = new History(context);
const handover = new Handover(context);

/** Leave for the shop, once. @param {State} state @param {State} before */
function goIn(state, before) {
  if (state.choosing && !before.choosing) location.replace(pageAddress(`/wait/${event.eventId}/go`));
}

store.listeners.push(
  keepPlace(event.eventId),
  ...[page, tab, alert, line, lobby, joining, called, history, handover].map((room) => room.show.bind(room)),
  goIn,
);
context.tabs.listeners.add(({ action }) => {
  if (action) store.dispatch(action);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && line.stream) context.ask();
});
addEventListener("online", () => line.stream?.open());
addEventListener("pageshow", (shown) => {
  if (shown.persisted) location.reload();
});

async function begin() {
  await handover.take();
  joining.show(store.state, store.state);
  const { opensAt, stage, standing, token } = store.state;
  // The page was shown in place of the way to the shop, to say why: the fan goes on by the button.
  if (stage === "choose") return;
  if (standing || token) await context.ask(NEEDS_PLACE.includes(stage) ? "join" : stage);
  if (store.state.stage === "join") return joining.join();
  if (stage === "early") lobby.awaitOpening(Date.parse(opensAt));
  if (stage === "rebuilding") store.dispatch({ type: "retryLater", seconds: REBUILDING_SECONDS });
}
begin();
