// @ts-check
// Choosing seats: the best ones together, or on the plan of the hall, which live changes keep true.
import { book, call, newKey, now, Problem, sleep } from "../api.js";
import { $, buttonOf, formOf, make } from "../dom.js";
import { keyOf, SeatMap, seatOf } from "../seats.js";
import { SharedStream } from "../shared-stream.js";
import { clock, plural } from "../words.js";
import { busy } from "./page.js";

/** @import { ReservationAnswer, SeatAnswer, SeatMap as Plan } from "../../contract.d.ts" */
/** @import { SeatChange } from "../seats.js" */
/** @import { Context } from "./main.js" */
/** @import { OtherHolds } from "./other-holds.js" */
/** @import { State } from "./state.js" */

const LATE_MS = 120_000;
const PAUSE_SECONDS_MAX = 15;
const QUICK_COUNT_MAX = 20;

export class Choose {
  /** @param {Context} context @param {OtherHolds} otherHolds */
  constructor(context, otherHolds) {
    this.context = context;
    this.otherHolds = otherHolds;
    /** @type {SeatMap | null} */
    this.map = null;
    /** @type {Promise<void> | null} */
    this.planLoaded = null;
    /** @type {SharedStream | null} */
    this.live = null;
    this.renewing = false;
    this.turnTimer = 0;
    this.fillQuick();
    $("hold").addEventListener("click", () => {
      this.reserve({ seatDetails: seatDetails(this.picked) }, buttonOf("hold"));
    });
  }

  /** The keys of the picked seats. */
  get picked() {
    return [...(this.map?.picked ?? [])];
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.choosing && (!before.choosing || state.turnEndsAt !== before.turnEndsAt)) this.open(state.turnEndsAt);
    if (!state.choosing && before.choosing) this.close();
    if (state.holds !== before.holds) this.map?.showOwn(keysOf(state.holds));
  }

  /** @param {string | null} turnEndsAt */
  open(turnEndsAt) {
    if (!this.live) this.context.page.announce("You are in. Choose your seats.");
    this.countTurnDown(turnEndsAt);
    this.openMap();
  }

  close() {
    this.live?.close();
    this.live = null;
    clearInterval(this.turnTimer);
    this.context.page.streams.set("seats", false);
    this.context.page.hideConnection();
  }

  /** @param {string | null} turnEndsAt null: the turn does not end */
  countTurnDown(turnEndsAt) {
    clearInterval(this.turnTimer);
    $("turn-left").hidden = !turnEndsAt;
    if (!turnEndsAt) return;
    const ends = Date.parse(turnEndsAt);
    const tick = () => {
      const leftMs = ends - now();
      $("turn-left").textContent = `Your turn: ${clock(leftMs)} left`;
      $("turn-left").classList.toggle("is-late", leftMs < LATE_MS);
      return leftMs > 0;
    };
    // By this clock the turn may have ended a moment before it does by the server's, which has just said otherwise.
    if (!tick()) return;
    this.turnTimer = setInterval(() => {
      if (tick()) return;
      clearInterval(this.turnTimer);
      this.endTurn();
    }, 1000);
  }

  /** The turn may have ended: the server says where the fan stands now. */
  endTurn() {
    this.context.store.dispatch({ type: "turnInDoubt" });
    return this.context.ask("expired");
  }

  async openMap() {
    const { event, page, store, tabs } = this.context;
    const map = (this.map ??= this.newMap());
    await (this.planLoaded ??= this.loadPlan(map));
    if (!store.state.choosing || this.live) return;
    this.live = new SharedStream(
      tabs,
      "seats",
      () => `/api/events/${event.eventId}/live`,
      {
        /** @param {{revision: number, taken: Plan["taken"]}} news */
        snapshot: (news) => (news.revision === event.revision ? map.snapshot(news.taken) : this.renew()),
        /** @param {{seats: SeatChange[]}} news */
        seats: (news) => map.change(news.seats),
        bye: () => {},
      },
      (connected) => page.showConnection(connected),
      () => [["snapshot", { revision: event.revision, taken: map.takenSeats() }]],
    );
    page.streams.set("seats", true);
  }

  newMap() {
    const { event, money, page, stock, tickets } = this.context;
    /** @type {SeatMap} */
    const map = new SeatMap({
      box: $("map"),
      chips: $("sections"),
      tickets,
      money,
      seatsMax: event.seatsPerFanMax,
      drawnMax: event.seatsDrawnMax,
      onPick: (keys) => this.showPicked(map, keys),
      onLost: (keys) => this.sayLost(map, keys),
      onLimit: () => page.say(`You can take at most ${plural(event.seatsPerFanMax, "seat")}.`),
      onStock: () => stock.showTypes((type) => map.stock(type)),
    });
    return map;
  }

  /** Picked seats are gone: say so, unless this fan holds them in another tab. @param {SeatMap} map @param {string[]} keys */
  async sayLost(map, keys) {
    await this.otherHolds.know();
    const lost = keys.filter((key) => !map.own.has(key));
    if (!lost.length) return;
    const were = lost.length > 1 ? "were" : "was";
    this.context.page.say(`${names(map, lost)} ${were} just taken by somebody else. Please pick again.`);
  }

  /** @param {SeatMap} map */
  async loadPlan(map) {
    for (let pauseSeconds = 1;; pauseSeconds = Math.min(pauseSeconds * 2, PAUSE_SECONDS_MAX)) {
      try {
        /** @type {Plan} */
        const { sections, taken } = await call("GET", `/api/events/${this.context.event.eventId}/seats`);
        map.build(sections);
        map.snapshot(taken);
        map.showOwn(keysOf(this.context.store.state.holds));
        return;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.context.page.showConnection(false);
        await sleep(1000 * pauseSeconds);
      }
    }
  }

  /** The organiser has changed the hall or its prices: the page shows it anew, once every server knows it. */
  renew() {
    if (this.renewing) return;
    this.renewing = true;
    this.context.page.say("The organiser has just changed this hall. We show it anew…");
    setTimeout(() => location.reload(), 1500 + 1500 * Math.random());
  }

  /** @param {SeatMap} map @param {string[]} keys */
  showPicked(map, keys) {
    const { money, page } = this.context;
    $("picked").replaceChildren(
      ...keys.map((key) => {
        const name = map.nameOf(key);
        const drop = make("button", "×", "drop");
        drop.type = "button";
        drop.setAttribute("aria-label", `Remove ${name}`);
        drop.addEventListener("click", () => map.drop([key]));
        const line = make("li");
        line.append(make("span", name), make("b", money(map.priceOf(key))), drop);
        return line;
      }),
    );
    const total = keys.reduce((sum, key) => sum + map.priceOf(key), 0);
    const words = keys.length ? plural(keys.length, "seat") : "No seats picked";
    $("picked-count").textContent = words;
    $("picked-total").textContent = keys.length ? money(total) : "";
    this.showHoldButton();
    $("selection").classList.toggle("is-empty", !keys.length);
    page.announce(keys.length ? `${words} picked, ${money(total)}` : words);
  }

  showHoldButton() {
    buttonOf("hold").disabled = !this.map?.picked.size;
  }

  fillQuick() {
    const { event, money } = this.context;
    for (let n = 1; n <= event.seatsPerFanMax && n <= QUICK_COUNT_MAX; n++) {
      $("quick-count").append(new Option(String(n), String(n), n === 2, n === 2));
    }
    for (const { ticketTypeId, ticketType, price } of event.tickets) {
      $("quick-type").append(new Option(`${ticketType} · ${money(price)}`, String(ticketTypeId)));
    }
    $("quick").addEventListener("submit", (submit) => {
      submit.preventDefault();
      const fields = new FormData(formOf("quick"));
      const bestAvailable = { ticketTypeId: Number(fields.get("type")), quantity: Number(fields.get("count")) };
      this.reserve({ bestAvailable }, buttonOf("quick-go"));
    });
  }

  /** @param {{seatDetails?: object[], bestAvailable?: object}} seats as the API wants them @param {HTMLButtonElement} button */
  async reserve(seats, button) {
    const { page } = this.context;
    page.hush();
    await busy(button, "Holding…", async () => {
      try {
        await this.otherHolds.whileBooking(() => this.hold(seats));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        await this.refused(error);
      }
    });
    this.showHoldButton();
  }

  /** @param {{seatDetails?: object[], bestAvailable?: object}} seats as the API wants them */
  async hold(seats) {
    const { event, onWait, page, store, tabs } = this.context;
    const body = { eventId: event.eventId, ...seats };
    /** @type {() => Promise<ReservationAnswer>} */
    const ask = () => book("POST", "/api/reserve", { body, key: newKey(), headers: store.headers, onWait });
    const hold = await (this.live ? this.live.makeRoom(ask) : ask());
    tabs.post({ action: { type: "heldElsewhere", hold } });
    page.hush();
    this.map?.drop(this.picked);
    store.dispatch({ type: "held", hold });
  }

  /** Say why a booking was refused. @param {Problem} problem */
  async refused(problem) {
    const { event, page } = this.context;
    switch (problem.code) {
      case "seats_taken":
        return await this.loseTaken(problem.body.seats ?? []);
      case "no_block":
        return page.say(
          "There are not that many seats together of this ticket. Try fewer, another ticket, or pick on the plan.",
        );
      case "sold_out":
        return page.say("These tickets are sold out. Seats that others hold may come back: watch the plan.");
      case "limit_exceeded": {
        const most = plural(event.seatsPerFanMax, "seat");
        return page.say(`One person can have at most ${most} for this event, purchases and holds together.`);
      }
      case "not_on_sale":
        return page.say("These tickets are not on sale yet.");
      case "not_admitted":
        page.say("Your turn has ended, so seats cannot be held any more.");
        return await this.endTurn();
      case "timed_out":
      case "overloaded":
        return page.say(
          "The booking desk is very busy and could not take your request. Nothing is held; please press again.",
        );
      case "offline":
        return page.say("We cannot reach the server. Check your network, then press again; nothing is booked twice.");
      default:
        return page.say(problem.message);
    }
  }

  /** @param {SeatAnswer[]} seats picked by this fan, and taken */
  async loseTaken(seats) {
    const { nameOf, page, store } = this.context;
    this.map?.drop(seats.map(keyOfSeat));
    await this.otherHolds.know();
    const own = keysOf(store.state.holds);
    const lost = seats.filter((seat) => !own.has(keyOfSeat(seat)));
    if (seats.length && !lost.length) return page.say("You are holding these seats already.", "good");
    const which = lost.length ? lost.map(nameOf).join(", ") : "A seat you picked";
    const were = lost.length > 1 ? "were" : "was";
    page.say(`${which} ${were} taken a moment ago. Nothing is held yet: pick again.`);
  }
}

/** @param {SeatAnswer} seat */
const keyOfSeat = ({ ticketTypeId, rowNumber, seatNumber }) => keyOf(ticketTypeId, rowNumber, seatNumber);

/** The keys of all seats that the fan holds. @param {ReservationAnswer[]} holds */
const keysOf = (holds) => new Set(holds.flatMap((hold) => hold.seats.map(keyOfSeat)));

/** @param {SeatMap} map @param {string[]} keys */
const names = (map, keys) => keys.map((key) => map.nameOf(key)).join(", ");

/** Seats as the API wants them. @param {string[]} keys */
function seatDetails(keys) {
  /** @type {Map<number, {ticketTypeId: number, metaData: {rowNumbers: number[], seatNumbers: number[]}}>} */
  const byType = new Map();
  for (const { type, row, seat } of keys.map(seatOf)) {
    const detail = byType.get(type) ?? { ticketTypeId: type, metaData: { rowNumbers: [], seatNumbers: [] } };
    byType.set(type, detail);
    detail.metaData.rowNumbers.push(row);
    detail.metaData.seatNumbers.push(seat);
  }
  return [...byType.values()];
}
