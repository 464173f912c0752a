// @ts-check
// One event's page, from the line to the checkout. The server's words change one state (state.js); every room of this
// page shows its part of it.
import "../local-times.js";
import { $, readData } from "../dom.js";
import { below } from "../addresses.js";
import { call } from "../api.js";
import { OtherTabs } from "../other-tabs.js";
import { seatWords } from "../seat-words.js";
import { beginSessions, hasSession } from "../session.js";
import { moneyIn } from "../words.js";
import { askWith } from "./asking.js";
import { Alert } from "./alert.js";
import { Called } from "./called.js";
import { Checkout } from "./checkout.js";
import { Choose } from "./choose.js";
import { Handover } from "./handover.js";
import { History } from "./history.js";
import { Joining } from "./joining.js";
import { Line } from "./line.js";
import { Lobby } from "./lobby.js";
import { OtherHolds } from "./other-holds.js";
import { Page } from "./page.js";
import { initialState, Store } from "./state.js";
import { Stock } from "./stock.js";
import { keepPlace, readPlace } from "./storage.js";
import { Tab } from "./tab.js";
import { Work } from "./work.js";
import { t } from "../text.js";

/** @import { HeldSeat, SeatAnswer } from "../../contract.d.ts" */
/** @typedef {SeatAnswer & Pick<HeldSeat, "rowLabel" | "seatLabel">} NamedSeat */
/** @import { Ask } from "./asking.js" */
/** @import { Action, EventData, Stage, TicketType } from "./state.js" */

/**
 * What every room of the page may use.
 * @typedef {object} Context
 * @property {EventData} event
 * @property {string} queue the line's address in the API
 * @property {Store} store
 * @property {Page} page
 * @property {Tab} tab
 * @property {OtherTabs} tabs this browser's other tabs of the same event
 * @property {(action: Action) => void} tell changes the state, in the other tabs too
 * @property {Stock} stock
 * @property {Alert} alert
 * @property {Ask} ask
 * @property {Map<number, TicketType>} tickets
 * @property {(amount: number) => string} money
 * @property {(seat: NamedSeat) => string} nameOf a seat in words
 * @property {string} captchaWorker the address of captcha-worker.js
 * @property {(why: string) => void} onWait says why a booking takes long
 */

const REBUILDING_SECONDS = 10;

/** @type {EventData} */
const event = readData("event-data");
beginSessions(event.own);
const drawn =
  /** @type {Stage} */ (document.querySelector(".stage:not([hidden])")?.getAttribute("data-stage") ?? "join");
const page = new Page();
const message = page.messageBox.textContent ?? "";
const store = new Store(initialState(event, drawn, { ...readPlace(event.eventId), message }));
const queue = `/api/queue/${event.eventId}`;
const alert = new Alert(event, below("/alerts.js"));
const tab = new Tab(event);
const tabs = new OtherTabs(`event:${event.eventId}`);
const tickets = new Map(event.tickets.map((ticket) => [ticket.ticketTypeId, ticket]));
/** @param {Action} action */
const tell = (action) => {
  tabs.post({ action });
  store.dispatch(action);
};
/** @type {Context} */
const context = {
  event,
  queue,
  store,
  page,
  tab,
  tabs,
  tell,
  stock: new Stock(event),
  alert,
  ask: askWith({ queue, store, page, tell }),
  tickets,
  nameOf: ({ ticketTypeId, rowNumber, seatNumber, rowLabel, seatLabel }) =>
    seatWords(tickets.get(ticketTypeId)?.ticketType, rowLabel ?? rowNumber, seatLabel ?? seatNumber),
  money: moneyIn(event.currency, event.exponent),
  captchaWorker: $("captcha-box").dataset.worker ?? "",
  onWait: (why) => {
    if (why === "offline") page.say(t("No connection. We keep trying; you will not pay twice."), "waiting");
    else page.say(t("Many people are booking at once. Your request is on its way…"), "good");
  },
};
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
