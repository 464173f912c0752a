// @ts-check
// What the fan does in other tabs: seats held or bought there are shown here as the fan's own.
import { call, now } from "../api.js";
import { $, make } from "../dom.js";
import { momentWords } from "../moments.js";
import { t } from "../text.js";

/** @import { ReservationAnswer, ReservationList } from "../../contract.d.ts" */
/** @import { Message } from "../other-tabs.js" */
/** @import { Context } from "./context.js" */
/** @import { Action, State } from "./state.js" */

const LOOK_MS = 1000; // between two looks whether a hold has ended
const BOOKING_MS_MAX = 10_000; // A tab that is still booking after so long may have been closed.

export class OtherHolds {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.timer = 0;
    /** The other tabs that are holding seats just now, and what ends the wait for each. @type {Map<string, () => void>} */
    this.booking = new Map();
    /** @type {Set<Promise<void>>} */
    this.waits = new Set();
    context.tabs.listeners.add((message) => this.hear(message));
  }

  /** @param {Message} message */
  hear({ action, booking, from }) {
    if (action) this.follow(action);
    if (booking) {
      const wait = new Promise((/** @type {(done: void) => void} */ end) => {
        this.booking.set(from, end);
        setTimeout(end, BOOKING_MS_MAX);
      });
      this.waits.add(wait);
      wait.then(() => this.waits.delete(wait));
    } else if (booking === false) this.booking.get(from)?.();
  }

  /** Something happened in another tab. @param {Action} action */
  follow(action) {
    const { page, store } = this.context;
    const shown = store.state.hold?.reservationId;
    store.dispatch(action);
    if (action.type !== "bought" && action.type !== "holdEnded") return;
    if (action.reservationId !== shown) return;
    const bought = action.type === "bought";
    page.say(
      bought ? t("You bought these tickets in another tab.") : t("You released these seats in another tab."),
      "good",
    );
  }

  /** Let the other tabs know that seats are being held here, while it is done. @param {() => Promise<void>} work */
  async whileBooking(work) {
    const { tabs } = this.context;
    tabs.post({ booking: true });
    try {
      await work();
    } finally {
      tabs.post({ booking: false });
    }
  }

  /** Know of all holds of this fan, also of one that another tab is making just now. */
  async know() {
    if (this.context.tabs.channel) await Promise.all(this.waits);
    else await this.read().catch(() => {});
  }

  async read() {
    const { event, store } = this.context;
    /** @type {ReservationList} */
    const { reservations } = await call("GET", `/api/reservations?eventId=${event.eventId}`, { begins: false });
    store.dispatch({ type: "holdsRead", holds: reservations });
  }

  /** @param {State} state @param {State} before */
  show({ hold, holds }, before) {
    if (holds === before.holds && hold === before.hold) return;
    const others = holds.filter((other) => other !== hold);
    $("other-holds").replaceChildren(...others.map((other) => this.draw(other)));
    clearInterval(this.timer);
    if (others.length) this.timer = setInterval(() => this.expire(others), LOOK_MS);
  }

  /** @param {ReservationAnswer[]} holds */
  expire(holds) {
    for (const { expiresAt, reservationId } of holds) {
      if (Date.parse(expiresAt) <= now()) this.context.store.dispatch({ type: "holdEnded", reservationId });
    }
  }

  /** @param {ReservationAnswer} hold */
  draw({ expiresAt, reservationId, seats }) {
    const words = `${
      t("{seats}: yours until {time}.", {
        seats: seats.map(this.context.nameOf).join(", "),
        time: momentWords(expiresAt, "clock"),
      })
    } `;
    const go = make("button", t("Go on with these"), "button quiet");
    go.type = "button";
    go.addEventListener("click", () => this.context.store.dispatch({ type: "holdChosen", reservationId }));
    const item = make("p", words, "banner");
    item.append(go);
    return item;
  }
}
