// @ts-check
// Choosing seats: the best ones together, or on the plan of the hall, which live changes keep true.
import { book, call, newKey, now, Problem, sleep } from "../api.js";
import { Captcha } from "../captcha.js";
import { $, buttonOf } from "../dom.js";
import { SharedStream } from "../shared-stream.js";
import { clock, problemWords } from "../words.js";
import { busy } from "./page.js";
import { Proposals } from "./proposals.js";
import { question } from "./question.js";
import { Selection } from "./selection.js";
import { t, tn } from "../text.js";

/** @import { ReservationAnswer, SeatAnswer, SeatMap } from "../../contract.d.ts" */
/** @import { HallPlan } from "../plan/main.js" */
/** @import { SeatChange } from "../plan/hall.js" */
/** @import { Context } from "./context.js" */
/** @import { OtherHolds } from "./other-holds.js" */
/** @import { State } from "./state.js" */

const LATE_MS = 120_000;
const PAUSE_SECONDS_MAX = 15;
const SNAPSHOT_MS_MAX = 4000; // A stream that brings nothing for longer is not waited for.
const MINUTE_MS = 60_000;
const CLOCKS_APART_MS = 3000; // the server's and this one's, at most

export class Choose {
  /** @param {Context} context @param {OtherHolds} otherHolds */
  constructor(context, otherHolds) {
    this.context = context;
    this.otherHolds = otherHolds;
    /** @type {HallPlan | null} */
    this.map = null;
    /** @type {Promise<HallPlan> | null} */
    this.mapLoaded = null;
    /** @type {SharedStream | null} */
    this.live = null;
    this.renewing = false;
    this.turnTimer = 0;
    this.selection = new Selection(context.money, (key) => this.map?.drop([key]));
    /** The hold that is under way. @type {Promise<void>} */
    this.holding = Promise.resolve();
    this.captcha = new Captcha($("message"), context.captchaWorker, (state) => {
      if (state === "working") context.page.say(t("We check that you are a person. One moment…"), "good");
      if (state === "done") context.page.hush();
    }, context.event.eventId);
    this.proposals = new Proposals(context, () => this.loadMap(), (error) => this.refused(error));
    $("hold").addEventListener("click", () => this.goOn());
  }

  /** The keys of the picked seats. */
  get picked() {
    return [...(this.map?.picked ?? [])];
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    // The script comes while the fan is let in.
    if (state.stage === "called" && before.stage !== "called") this.loadMap();
    if (state.choosing && (!before.choosing || state.turnEndsAt !== before.turnEndsAt)) this.open(state.turnEndsAt);
    if (!state.choosing && before.choosing) this.close();
    if (state.holds !== before.holds) this.map?.showOwn(keysOf(state.holds));
  }

  /** @param {string | null} turnEndsAt */
  open(turnEndsAt) {
    if (!this.live) this.context.page.announce(t("It’s your turn: choose your seats."));
    this.countTurnDown(turnEndsAt);
    this.openMap();
  }

  close() {
    this.live?.close();
    this.live = null;
    clearInterval(this.turnTimer);
    this.context.page.connection.remove("seats");
  }

  /** @param {string | null} turnEndsAt null: the turn does not end */
  countTurnDown(turnEndsAt) {
    clearInterval(this.turnTimer);
    $("turn-left").hidden = !turnEndsAt;
    if (!turnEndsAt) return;
    const ends = Date.parse(turnEndsAt);
    const firstMs = ends - now();
    const overMs = firstMs % MINUTE_MS;
    // Of two clocks that differ by a second or two, none may show more than the turn's full minutes.
    const mostMs = overMs > 0 && overMs < CLOCKS_APART_MS ? firstMs - overMs : firstMs;
    const tick = () => {
      const leftMs = Math.min(mostMs, ends - now());
      $("turn-left").textContent = t("{time} left to choose", { time: clock(leftMs) });
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
    const map = await this.loadMap();
    map.showOwn(keysOf(store.state.holds));
    if (!store.state.choosing || this.live) return;
    const live = this.live = new SharedStream(
      tabs,
      "seats",
      () => `/api/events/${event.eventId}/live`,
      {
        /** @param {{revision: number, taken: SeatMap["taken"]}} news */
        snapshot: (news) => {
          if (news.revision !== event.revision) return this.renew();
          clearTimeout(unheard);
          map.snapshot(news.taken);
        },
        /** @param {{seats: SeatChange[]}} news */
        seats: (news) => map.change(news.seats),
        bye: () => {},
      },
      () => page.connection.draw(),
      () => [["snapshot", { revision: event.revision, taken: map.takenSeats() }]],
    );
    page.connection.add("seats", live);
    const unheard = setTimeout(async () => {
      /** @type {SeatMap} */
      const { taken } = await this.ask(`/api/events/${event.eventId}/seats`);
      if (this.live === live && !live.connected) map.snapshot(taken);
    }, SNAPSHOT_MS_MAX);
  }

  /** The map, whose script is loaded only by fans who may choose. @returns {Promise<HallPlan>} */
  loadMap() {
    return (this.mapLoaded ??= this.newMap());
  }

  async newMap() {
    const { event, money, page, stock, tickets } = this.context;
    for (let tries = 1; !("HallPlan" in globalThis); tries++) {
      if (tries > 1) await this.waitFor(tries);
      await loadScript(`${$("map").dataset.script}${tries > 1 ? `?${tries}` : ""}`);
    }
    const { HallPlan: Plan } = /** @type {{HallPlan: typeof HallPlan}} */ (/** @type {unknown} */ (globalThis));
    const map = this.map = new Plan({
      path: `/api/events/${event.eventId}/plan`,
      tickets,
      money,
      seatsMax: event.seatsPerFanMax,
      wholeMax: event.seatsWholeMax,
      load: (path) => this.ask(path),
      onPick: (keys) => this.showPicked(map, keys),
      onLost: (keys) => this.sayLost(map, keys),
      onLimit: () => page.mention(limitWords(event.seatsPerFanMax)),
      onStock: () => stock.showTypes((type) => map.stock(type)),
      announce: (words) => page.announce(words),
      onProtected: async () =>
        await question(
          t("Do you need a wheelchair space?"),
          t("These spaces are kept for people in a wheelchair, and for those who come with them."),
          [["no", t("Choose another seat")], ["yes", t("Yes, we need it")]],
        ) === "yes",
    });
    await map.load();
    return map;
  }

  /** Ask until it is answered. @template Answer @param {string} path @returns {Promise<Answer>} */
  async ask(path) {
    for (let tries = 1;; tries++) {
      try {
        return await call("GET", path, { cache: "default" });
      } catch (error) {
        if (!(error instanceof Problem) || error.status === 404) throw error;
        await this.waitFor(tries);
      }
    }
  }

  /** Wait between two tries, and show that nothing comes. @param {number} tries */
  async waitFor(tries) {
    if (!this.live) this.context.page.connection.add("seats", { connected: false, heardAt: Date.now() });
    await sleep(1000 * Math.min(2 ** tries, PAUSE_SECONDS_MAX));
  }

  /** Picked seats are gone: say so, unless this fan holds them, here or in another tab. @param {HallPlan} map @param {string[]} keys */
  async sayLost(map, keys) {
    // The map may tell of this fan's own hold before the hold's answer comes.
    await Promise.all([this.holding, this.otherHolds.know()]);
    const own = keysOf(this.context.store.state.holds);
    const lost = keys.filter((key) => !own.has(key));
    if (!lost.length) return;
    this.context.page.mention(takenWords(names(map, lost), lost.length));
  }

  /** The organiser has changed the hall or its prices: the page shows it anew, once every server knows it. */
  renew() {
    if (this.renewing) return;
    this.renewing = true;
    this.context.page.say(t("The organiser has just changed this hall. We show it anew…"));
    setTimeout(() => location.reload(), 1500 + 1500 * Math.random());
  }

  /** @param {HallPlan} map @param {string[]} keys */
  showPicked(map, keys) {
    const { page } = this.context;
    // What was said of an earlier choice is over.
    page.hush();
    const words = this.selection.show(keys.map((key) => ({ key, name: map.nameOf(key), price: map.priceOf(key) })));
    this.proposals.press(keys);
    page.announce(words);
  }

  /** Hold what is picked, unless the fan thinks better of a seat that would be left alone. */
  async goOn() {
    const { map } = this;
    const alone = map?.alone();
    if (map && alone) {
      const { instead } = alone;
      const left = names(map, alone.alone);
      const others = instead?.filter((key) => !map.picked.has(key)) ?? [];
      const answer = await question(
        tn("One seat would be left alone", "{n} seats would be left alone", alone.alone.length),
        t("{seats} would have no free seat beside it, and hardly anyone buys such a seat.", { seats: left }),
        instead
          ? [["instead", t("Take {seats} instead", { seats: names(map, others) })], ["hold", t("Continue anyway")]]
          : [["", t("Choose other seats")], ["hold", t("Continue anyway")]],
      );
      if (!answer) return;
      if (answer === "instead" && instead) {
        map.drop(this.picked.filter((key) => !instead.includes(key)));
        map.pick(instead);
      }
    }
    await this.reserve(seatDetails(this.picked), buttonOf("hold"));
  }

  /** @param {object[]} seatDetails as the API wants them @param {HTMLButtonElement} button */
  async reserve(seatDetails, button) {
    const { page } = this.context;
    page.hush();
    this.holding = busy(button, t("One moment…"), async () => {
      try {
        await this.otherHolds.whileBooking(() => this.hold(seatDetails));
      } catch (error) {
        await this.refused(error);
      }
    });
    await this.holding;
    button.disabled = !this.picked.length;
  }

  /** @param {object[]} seatDetails as the API wants them */
  async hold(seatDetails) {
    const { event, onWait, page, store, tabs } = this.context;
    /** @param {string} [captchaToken] @returns {Promise<ReservationAnswer>} */
    const reserve = (captchaToken) => {
      const body = { eventId: event.eventId, seatDetails };
      const headers = { ...store.headers, ...(captchaToken ? { "X-Captcha-Token": captchaToken } : {}) };
      return book("POST", "/api/reserve", { body, key: newKey(), headers, onWait });
    };
    const ask = async () => {
      try {
        return await reserve();
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== "captcha_required") throw error;
        const token = await this.captcha.token("reserve", true);
        this.captcha.spent();
        return reserve(token);
      }
    };
    const hold = await (this.live ? this.live.makeRoom(ask) : ask());
    tabs.post({ action: { type: "heldElsewhere", hold } });
    page.hush();
    this.map?.drop(this.picked);
    this.map?.propose([]);
    this.proposals.clear();
    store.dispatch({ type: "held", hold });
  }

  /** Say why a booking was refused. @param {unknown} problem */
  async refused(problem) {
    if (!(problem instanceof Problem)) throw problem;
    const { event, page, store } = this.context;
    switch (problem.code) {
      case "seats_taken":
        return await this.loseTaken(problem.body.seats ?? []);
      case "sold_out":
        return page.mention(
          t("These tickets are sold out. Seats in other fans’ baskets may come back: watch the map."),
        );
      case "limit_exceeded":
        return page.mention(limitWords(event.seatsPerFanMax));
      case "type_limit_exceeded":
        return page.mention(typeLimitWords(problem.body.seatsPerFanMax ?? 1));
      case "type_sale_over":
        return page.mention(t("These tickets are not on sale any more."));
      case "not_on_sale":
      case "type_not_on_sale":
        return page.mention(t("These tickets are not on sale yet."));
      case "not_admitted":
        await this.endTurn();
        // A fan who did nothing for a while is back in line, which says so itself.
        if (store.state.stage === "waiting" || store.state.stage === "called") return;
        return page.say(t("Your time ran out, so you cannot choose seats any more."));
      case "timed_out":
      case "overloaded":
        return page.say(
          t("Too busy just now, and nothing was booked. Please try again."),
        );
      case "offline":
        return page.say(t("No connection. Check your network, then try again: you will not pay twice."));
      default:
        return page.say(problemWords(problem));
    }
  }

  /** @param {SeatAnswer[]} seats picked by this fan, and taken */
  async loseTaken(seats) {
    const { nameOf, page, store } = this.context;
    this.map?.drop(seats.map(keyOfSeat));
    await this.otherHolds.know();
    const own = keysOf(store.state.holds);
    const lost = seats.filter((seat) => !own.has(keyOfSeat(seat)));
    if (seats.length && !lost.length) return page.mention(t("These seats are yours already."), "good");
    page.mention(takenWords(lost.length ? lost.map(nameOf).join(", ") : t("A seat that you picked"), lost.length));
  }
}

/** @param {SeatAnswer} seat */
const keyOfSeat = ({ ticketTypeId, rowNumber, seatNumber }) => `${ticketTypeId}/${rowNumber}/${seatNumber}`;

/** The keys of all seats that the fan holds. @param {ReservationAnswer[]} holds */
const keysOf = (holds) => new Set(holds.flatMap((hold) => hold.seats.map(keyOfSeat)));

/** @param {number} most */
const limitWords = (most) =>
  tn("You can buy up to {n} ticket in total.", "You can buy up to {n} tickets in total.", most);

/** @param {number} most */
const typeLimitWords = (most) =>
  tn("You can buy up to {n} ticket of this kind.", "You can buy up to {n} tickets of this kind.", most);

/** @param {string} seats in words @param {number} number of them */
const takenWords = (seats, number) =>
  tn("{seats} was just taken. Please pick another.", "{seats} were just taken. Please pick others.", number, { seats });

/** @param {HallPlan} map @param {string[]} keys */
const names = (map, keys) => keys.map((key) => map.nameOf(key)).join(", ");

/** Seats as the API wants them. @param {string[]} keys */
function seatDetails(keys) {
  /** @type {Map<number, {ticketTypeId: number, metaData: {rowNumbers: number[], seatNumbers: number[]}}>} */
  const byType = new Map();
  for (const [type, row, seat] of keys.map((key) => key.split("/").map(Number))) {
    const detail = byType.get(type) ?? { ticketTypeId: type, metaData: { rowNumbers: [], seatNumbers: [] } };
    byType.set(type, detail);
    detail.metaData.rowNumbers.push(row);
    detail.metaData.seatNumbers.push(seat);
  }
  return [...byType.values()];
}

/** Run one more script; done as well where it does not come. @param {string} address @returns {Promise<void>} */
function loadScript(address) {
  const script = document.createElement("script");
  script.type = "module";
  script.src = address;
  return new Promise((done) => {
    script.onload = script.onerror = () => done();
    document.head.append(script);
  });
}
