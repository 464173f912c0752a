// @ts-check
// A voucher for the seats that are held: what they cost with it, before anything is bought.
import { call, Problem } from "../api.js";
import { $, buttonOf, formOf, inputOf } from "../dom.js";
import { t } from "../text.js";
import { problemWords } from "../words.js";
import { busy } from "./page.js";

/** @import { Quote, ReservationAnswer } from "../../contract.d.ts" */

/** What is said of a voucher that cannot be used. @type {Record<string, string>} */
const REFUSED = {
  voucher_unknown: t("There is no such voucher here. Check it for typing errors."),
  voucher_used: t("This voucher has been used up."),
  voucher_expired: t("This voucher is not valid any more."),
  voucher_not_for_these: t("This voucher is not for these tickets."),
};

/** What the page says of a voucher's problem; empty for a problem of another kind. @param {Problem} problem */
export const voucherWords = ({ code }) => REFUSED[code] ?? "";

export class Voucher {
  /** @param {(quote: Quote) => void} onQuote shows what the hold costs with the voucher */
  constructor(onQuote) {
    /** The code that the hold is bought with; empty for none. */
    this.code = "";
    /** @type {ReservationAnswer | null} */
    this.hold = null;
    formOf("voucher-form").addEventListener("submit", (submit) => {
      submit.preventDefault();
      busy(buttonOf("voucher-go"), t("One moment…"), () => this.use(onQuote));
    });
  }

  /** Another hold is shown, to which no voucher was given yet. @param {ReservationAnswer} hold */
  begin(hold) {
    this.hold = hold;
    this.forget();
    inputOf("voucher-code").value = "";
    this.say("");
  }

  forget() {
    this.code = "";
  }

  /** @param {(quote: Quote) => void} onQuote */
  async use(onQuote) {
    const { hold } = this;
    const voucher = inputOf("voucher-code").value.trim();
    if (!hold || !voucher) return;
    this.say("");
    try {
      const body = { eventId: hold.eventId, voucher };
      /** @type {Quote} */
      const quote = await call("POST", `/api/reservations/${hold.reservationId}/quote`, { body });
      if (this.hold !== hold) return;
      this.code = voucher;
      onQuote(quote);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.say(voucherWords(error) || problemWords(error));
    }
  }

  /** @param {string} words */
  say(words) {
    $("voucher-error").textContent = words;
    $("voucher-error").hidden = !words;
  }
}
