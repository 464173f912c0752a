// @ts-check
// What every room of the page may use, whether the page sells seats or stands before somebody else's shop.
import { $, readData } from "../dom.js";
import { below } from "../addresses.js";
import { OtherTabs } from "../other-tabs.js";
import { seatWords } from "../seat-words.js";
import { beginSessions } from "../session.js";
import { moneyIn } from "../words.js";
import { askWith } from "./asking.js";
import { Alert } from "./alert.js";
import { Page } from "./page.js";
import { initialState, Store } from "./state.js";
import { Stock } from "./stock.js";
import { readPlace } from "./storage.js";
import { Tab } from "./tab.js";
import { t } from "../text.js";

/** @import { HeldSeat, SeatAnswer } from "../../contract.d.ts" */
/** @typedef {SeatAnswer & Pick<HeldSeat, "rowLabel" | "seatLabel">} NamedSeat */
/** @import { Ask } from "./asking.js" */
/** @import { Action, EventData, Stage, TicketType } from "./state.js" */

/**
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

/** @returns {Context} of the page as the server has drawn it */
export function drawnContext() {
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
  return {
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
}
