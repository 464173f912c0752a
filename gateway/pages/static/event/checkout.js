// @ts-check
// Seats are held for the fan: the time left, the check that a person buys, buying, or giving the seats back.
import { book, call, goAndPay, newKey, now, Problem } from "../api.js";
import { Captcha } from "../captcha.js";
import { $, buttonOf, make, setProgress } from "../dom.js";
import { momentWords } from "../moments.js";
import { clock, problemWords } from "../words.js";
import { busy } from "./page.js";
import { Voucher, voucherWords } from "./voucher.js";
import { keep, readKept } from "./storage.js";
import { pageAddress } from "../addresses.js";
import { locale, t, tn } from "../text.js";

/** @import { PurchaseAnswer, PurchaseList, Quote, ReservationAnswer, TaxPart } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { Choose } from "./choose.js" */
/** @import { OrderAnswers } from "./answers.js" */
/** @import { State } from "./state.js" */

const TICK_MS = 500;
const LATE_MS = [120_000, 60_000];
const OFFER_SPARE_MS = 10_000;
/** What becomes of the check that a person buys, in words. */
const PERSON = {
  idle: "",
  working: t("Security check…"),
  done: t("Security check passed"),
  failed: t("The security check failed. Press Buy to try it again."),
};

/** What the event asks before buying; undefined where it asks for nothing. */
const answers = () => /** @type {{orderAnswers?: OrderAnswers}} */ (globalThis).orderAnswers;

export class Checkout {
  /** @param {Context} context @param {Choose} choose */
  constructor(context, choose) {
    this.context = context;
    this.choose = choose;
    this.timer = 0;
    this.late = 0;
    this.buying = false;
    this.leaving = false;
    this.captcha = new Captcha($("captcha-box"), context.captchaWorker, (state) => {
      $("person").textContent = PERSON[state];
      $("person").className = `person is-${state}`;
    }, context.event.eventId);
    this.voucher = new Voucher((quote) => this.showPrice(quote));
    $("buy").addEventListener("click", () => this.buy());
    $("release").addEventListener("click", () => this.release());
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.hold !== before.hold) {
      if (state.hold) this.begin(state.hold);
      else this.end(state);
    }
    if (state.stage === "done" && before.stage !== "done" && !this.leaving) this.showPurchases(state.roomState);
  }

  /** @param {ReservationAnswer} hold */
  begin(hold) {
    const { event, money, nameOf, page } = this.context;
    const ends = Date.parse(hold.expiresAt);
    const until = momentWords(ends, "clock");
    $("hold-until").textContent = until;
    $("hold-seats").replaceChildren(
      ...hold.seats.map((seat) => {
        const line = make("li");
        line.append(make("span", nameOf(seat)), make("b", money(seat.amount)));
        return line;
      }),
    );
    $("hold-seats").parentElement?.style.setProperty("--edge", `${2 * Math.max(2, hold.seats.length) + 1.8}rem`);
    this.voucher.begin(hold);
    answers()?.begin(hold, nameOf);
    this.showPrice(hold);
    page.announce(
      tn("{n} seat is yours until {time}.", "{n} seats are yours until {time}.", hold.seats.length, { time: until }),
    );
    clearInterval(this.timer);
    // What is offered from a waiting list lasts longer than a hold; the spare is for a clock known to some seconds.
    const leftMs = ends - now() - OFFER_SPARE_MS;
    const wholeMs = Math.max(event.holdSeconds * 1000, leftMs);
    const tick = () => this.tick(hold.reservationId, ends, wholeMs);
    this.timer = setInterval(tick, TICK_MS);
    tick();
    this.captcha.needed("checkout").then((needed) => {
      if (needed) this.captcha.begin("checkout").catch(() => {});
    }, () => {});
  }

  /** The total, what it is made of where there is more than prices, and the button. @param {ReservationAnswer | Quote} hold */
  showPrice({ breakdown, seats, totalAmount }) {
    const { money } = this.context;
    $("hold-total").textContent = money(totalAmount);
    $("buy").textContent = buyWords(seats.length, money(totalAmount));
    /** @type {[string, number][]} */
    const lines = breakdown
      ? [
        [t("Tickets"), breakdown.prices],
        ...(breakdown.discounts ? [discountLine(breakdown.discounts)] : []),
        ...(breakdown.fees ? [feeLine(breakdown.fees)] : []),
        ...breakdown.taxes.map(taxLine),
      ]
      : [];
    $("hold-parts").hidden = !lines.length;
    $("hold-parts").replaceChildren(...lines.map(([words, amount]) => {
      const line = make("div");
      line.append(make("dt", words), make("dd", money(amount)));
      return line;
    }));
  }

  /** @param {string} reservationId @param {number} ends ms @param {number} wholeMs */
  tick(reservationId, ends, wholeMs) {
    // The server's clock is known to a second or two: never show more than the whole.
    const leftMs = Math.min(wholeMs, ends - now());
    $("hold-left").textContent = clock(leftMs);
    this.context.tab.put(t("{time} to buy", { time: clock(leftMs) }), "★");
    setProgress("hold-progress", (1000 * Math.max(0, leftMs)) / wholeMs);
    const late = LATE_MS.filter((lateMs) => leftMs < lateMs).length;
    document.body.classList.toggle("is-late", late > 0);
    document.body.classList.toggle("is-last", late > 1);
    if (late > this.late) this.warn(late);
    this.late = late;
    // A purchase already on its way has the server's grace, so its answer decides.
    if (leftMs <= 0 && !this.buying) this.lapse(reservationId);
  }

  /** Little time is left, by how many of the limits. @param {number} late */
  warn(late) {
    const { alert, page } = this.context;
    page.announce(late < LATE_MS.length ? t("Two minutes left to buy.") : t("Less than a minute left to buy."));
    alert.ringOnce();
  }

  /** The hold has ended: say so, and go back to the seats. @param {string} reservationId */
  lapse(reservationId) {
    const { page, store } = this.context;
    store.dispatch({ type: "holdEnded", reservationId });
    page.say(t("Time is up: your seats were released. Please choose again."));
  }

  /** No hold is left: back to the seats, if the fan may still choose. @param {State} state */
  end({ roomState, stage }) {
    const { ask, store } = this.context;
    clearInterval(this.timer);
    document.body.classList.remove("is-late", "is-last");
    if (this.leaving || stage === "done") return;
    if (roomState === "off") store.dispatch({ type: "news", news: { roomState } });
    else ask("expired");
  }

  async buy() {
    const { page, store, tell } = this.context;
    const { hold } = store.state;
    if (this.buying || !hold || answers()?.isMissing()) return;
    page.hush();
    this.buying = true;
    buttonOf("release").disabled = true; // Seats cannot be given back while they are being bought.
    // One key for one hold, also after a reload: however often it is sent, it is bought once.
    const name = `buy:${hold.reservationId}`;
    const key = readKept(name) ?? newKey();
    keep(name, key);
    try {
      await busy(buttonOf("buy"), t("Buying…"), async () => {
        try {
          await answers()?.send(hold);
          const { purchaseId } = await this.pay(hold, key);
          keep(name, null);
          this.leaving = store.state.holds.length < 2;
          if (!this.leaving) this.captcha.spent();
          tell({ type: "bought", reservationId: hold.reservationId });
          if (!this.leaving) return page.say(t("You have these tickets. Below are more seats that are yours."), "good");
          page.say(t("Done. Fetching your tickets…"), "good");
          location.assign(pageAddress(`/purchases/${purchaseId}`));
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          if (error.status !== 0) keep(name, null);
          await this.refused(error, hold.reservationId);
        }
      });
    } finally {
      this.buying = false;
      buttonOf("release").disabled = false;
    }
  }

  /** Check out, once more with a new captcha if the first one was refused. @param {ReservationAnswer} hold @param {string} key @returns {Promise<PurchaseAnswer>} */
  async pay({ eventId, reservationId }, key) {
    const { page, store } = this.context;
    const onWait = (/** @type {string} */ why) =>
      why === "offline"
        ? page.say(t("No connection. Your purchase is waiting and will go through once."), "waiting")
        : this.context.onWait(why);
    for (let tries = 0;; tries++) {
      try {
        const captchaToken = await this.captcha.token("checkout");
        const voucher = this.voucher.code;
        const body = {
          eventId,
          reservationId,
          ...(captchaToken ? { captchaToken } : {}),
          ...(voucher ? { voucher } : {}),
        };
        const onPayment = (/** @type {string} */ href) => {
          keep(`buy:${reservationId}`, null); // One hold has one payment under way; a second try is a new one.
          return goAndPay(href);
        };
        return await book("POST", "/api/checkout", { body, key, headers: store.headers, onWait, onPayment });
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== "captcha_failed" || tries) throw error;
        this.captcha.spent();
      }
    }
  }

  /** @param {Problem} problem @param {string} reservationId */
  async refused(problem, reservationId) {
    const { page, store } = this.context;
    if (voucherWords(problem)) {
      // It was good when the fan asked: so the price without it is shown before anything is bought.
      this.voucher.forget();
      this.voucher.say(voucherWords(problem));
      if (store.state.hold) this.showPrice(store.state.hold);
      return page.say(voucherWords(problem));
    }
    const words = answers()?.wordsOf(problem.code);
    if (words) return page.say(words);
    switch (problem.code) {
      case "hold_expired":
      case "not_your_hold":
      case "hold_mismatch":
        return this.lapse(reservationId);
      case "event_cancelled":
        page.say(problemWords(problem));
        return store.dispatch({ type: "holdEnded", reservationId });
      case "payment_failed":
        return page.say(t("The payment did not go through. Your seats are still yours: please try again."));
      case "captcha_failed":
        return page.say(
          t("The security check was not accepted. Your seats are still yours: press Buy again."),
        );
      default:
        return await this.choose.refused(problem);
    }
  }

  async release() {
    const { event, onWait, page, store, tell } = this.context;
    const { hold } = store.state;
    if (!hold) return;
    page.hush();
    await busy(buttonOf("release"), t("One moment…"), async () => {
      const path = `/api/reservations/${hold.reservationId}?eventId=${event.eventId}`;
      try {
        await book("DELETE", path, { key: newKey(), headers: store.headers, onWait });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.code !== "hold_expired") return await this.choose.refused(error);
      }
      page.hush();
      tell({ type: "holdEnded", reservationId: hold.reservationId });
    });
  }

  /** The fan has bought before: lead to the tickets. @param {string} roomState */
  async showPurchases(roomState) {
    $("done-again").hidden = roomState === "sold_out" || roomState === "closed";
    /** @type {Promise<PurchaseList>} */
    const asked = call("GET", "/api/purchases");
    const { purchases } = await asked.catch(() => ({ purchases: [] }));
    const here = purchases.filter((purchase) => purchase.eventId === this.context.event.eventId);
    if (!here.length) return;
    if (!here.some(liveTickets)) {
      $("done-head").textContent = t("You cancelled your tickets");
      $("done-words").textContent = t("Your purchase was cancelled.");
    }
    $("done-links").replaceChildren(
      ...here.map((purchase) => {
        const live = liveTickets(purchase);
        const link = make(
          "a",
          live ? tn("Show {n} ticket", "Show {n} tickets", live) : t("Show the cancelled purchase"),
          "button",
        );
        link.href = pageAddress(`/purchases/${purchase.purchaseId}`);
        return link;
      }),
    );
  }
}

/** @param {number} tickets @param {string} price */
const buyWords = (tickets, price) => tn("Buy {n} ticket · {price}", "Buy {n} tickets · {price}", tickets, { price });

const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 2 });

/** @param {number} fees @returns {[string, number]} */
const feeLine = (fees) => [t("Booking fees"), fees];

/** @param {number} discounts @returns {[string, number]} */
const discountLine = (discounts) => [t("Voucher"), -discounts];

/** @param {TaxPart} part @returns {[string, number]} */
function taxLine({ basisPoints, included, tax }) {
  const rate = percent.format(basisPoints / 10_000);
  return [included ? t("VAT {rate}, included", { rate }) : t("VAT {rate}", { rate }), tax];
}

/** How many tickets of a purchase are not cancelled. @param {PurchaseAnswer} purchase */
const liveTickets = (purchase) => purchase.details.filter((detail) => !detail.cancelledAt).length;
