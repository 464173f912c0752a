// @ts-check
// How many seats are left of each ticket type.
import { call } from "../api.js";
import { setText } from "../dom.js";
import { stockWords } from "../words.js";

/** @import { InitialCall, StockLeft } from "../../contract.d.ts" */
/** @import { EventData } from "./state.js" */

const ASK_MS_MIN = 10_000; // between two questions for each ticket type's stock, while waiting

export class Stock {
  /** @param {EventData} event */
  constructor(event) {
    this.event = event;
    this.seen = "";
    this.timer = 0;
  }

  /** @param {number} type @param {{available: number, held: number}} stock */
  showType(type, stock) {
    const row = document.querySelector(`[data-ticket="${type}"]`);
    const words = row?.querySelector(".stock");
    if (words) setText(words, stockWords(stock));
    row?.querySelector("progress")?.setAttribute("value", String(stock.available));
  }

  /** The ticket types alone tell the stock now. @param {(type: number) => {available: number, held: number}} stockOf */
  showTypes(stockOf) {
    for (const { ticketTypeId } of this.event.tickets) this.showType(ticketTypeId, stockOf(ticketTypeId));
  }

  /** The line's news counts the whole hall. Where that changes, each ticket type's stock is asked, now and then. @param {StockLeft} stock */
  follow({ free, held }) {
    const seen = `${free}/${held}`;
    if (seen === this.seen || this.timer || document.hidden) return;
    this.seen = seen;
    this.timer = setTimeout(() => this.ask(), ASK_MS_MIN * (1 + Math.random()));
  }

  async ask() {
    try {
      /** @type {InitialCall} */
      const { tickets } = await call("GET", `/api/initial-call/${this.event.eventId}`);
      for (const { ticketTypeId, availableCount, heldCount } of tickets) {
        this.showType(ticketTypeId, { available: availableCount, held: heldCount });
      }
    } catch {
      // The next change asks again.
    }
    this.timer = 0;
  }
}
