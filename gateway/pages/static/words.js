// @ts-check
// Money and time in words.
import { momentWords } from "./moments.js";
import { count, locale, t, tn } from "./text.js";

/** @import { ProblemBody } from "./api.js" */

/**
 * @param {string} currency ISO 4217 @param {number} exponent digits of its minor unit
 * @returns {(amount: number) => string} from minor units
 */
export function moneyIn(currency, exponent) {
  const format = new Intl.NumberFormat(locale, {
    style: "currency",
    currency,
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  return (amount) => format.format(amount / 10 ** exponent);
}

/** @param {number} ms */
export function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** A range whose end is this many times its beginning says no more than its end. */
const UNSURE = 8;

/**
 * An estimate as a range wide enough to be true.
 * @param {number | null | undefined} seconds
 * @param {[number, number] | null | undefined} [range] seconds, when the server gives its own
 */
export function eta(seconds, range) {
  if (seconds === null || seconds === undefined) return t("We are working out how long it will take");
  const [least, most] = range ?? [(seconds * 4) / 5, (seconds * 4) / 3];
  if (most < 60) return t("Less than a minute");
  const low = Math.max(1, Math.floor(least / 60));
  const high = Math.max(low + 1, Math.ceil(most / 60));
  const hours = Math.ceil(high / 60);
  if (high > 120 && low < 60) return t("Between {minutes} minutes and {hours} hours", { minutes: low, hours });
  if (high > 120) return t("About {low}–{high} hours", { low: Math.floor(low / 60), high: hours });
  if (high >= UNSURE * low) return t("Within {high} minutes, perhaps much sooner", { high });
  return t("About {low}–{high} minutes", { low, high });
}

/**
 * What a waiting fan reads while every seat that is left is in another fan's hands.
 * @param {{held: number, lastHoldEndsAt?: string | null}} stock
 */
export function returnWords({ held, lastHoldEndsAt }) {
  const seats = tn(
    "No seat is free right now. {n} is in another fan’s basket and goes to the line if it comes back.",
    "No seat is free right now. {n} are in other fans’ baskets and go to the line if they come back.",
    held,
  );
  if (!lastHoldEndsAt) return seats;
  return `${seats} ${t("We know by {time} at the latest.", { time: momentWords(minuteUp(lastHoldEndsAt), "clock") })}`;
}

const SEATS_BACK_MS = 30000; // A checkout under way has some seconds more than the hold; then the seats are freed.
/** Rounded up to a full minute, so that the seats are never back later than said. @param {string} moment @returns {number} ms */
const minuteUp = (moment) => Math.ceil((Date.parse(moment) + SEATS_BACK_MS) / 60000) * 60000;

/** A time to come as a clock, with hours and days where there are any. @param {number} ms */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 3600) return clock(ms);
  const hours = Math.floor(seconds / 3600);
  if (hours >= 48) return tn("{n} day", "{n} days", Math.floor(hours / 24));
  return `${hours}:${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @param {{available: number, held: number}} stock */
export function stockWords({ available, held }) {
  if (available > 0) return t("{n} left", { n: count(available) });
  return held > 0 ? t("{n} in baskets, may come back", { n: count(held) }) : t("sold out");
}

/** What a waiting list refuses, by the problem's code. @type {Record<string, string>} */
const WAITING = {
  kept_for_waiting: t("Tickets that come back go to the people on the waiting list first."),
  not_sold_out: t("Tickets of this kind can still be bought, so there is no need to wait."),
  already_waiting: t("You are on the list already. Leave it first to enter anew."),
  waiting_list_off: t("This list takes nobody at the moment."),
};

/** Why nothing of an event is sold, or not to this fan, by the problem's code. @type {Record<string, string>} */
const SHUT = {
  sale_over: t("The sale is over: no more tickets are sold here."),
  event_unpublished: t(
    "The organiser has taken this event off sale for now. Tickets that you have bought stay valid.",
  ),
  account_required: t("Here you need an account. Sign in first; a place in line that you have comes along."),
  event_cancelled: t("The organiser has cancelled this event. If you have bought tickets, you get your money back."),
};

/**
 * What a fan reads of a problem that its place on the page has no words for. The API's own words are English, and for
 * programs.
 * @param {{code: string, status: number, body?: ProblemBody}} problem
 */
export function problemWords({ code, status, body }) {
  if (code === "conduct_refused") {
    const { appeal: address = "", reference: number = "" } = body ?? {};
    return address
      ? t(
        "This session looks like a program’s, so it has to wait for ten minutes. If you are a person, write to {address} and name the number {number}.",
        { address, number },
      )
      : t(
        "This session looks like a program’s, so it has to wait for ten minutes. If you are a person, write to the organiser and name the number {number}.",
        { number },
      );
  }
  if (code === "captcha_failed") return t("The security check did not pass. Please try again.");
  const shut = SHUT[code] ?? WAITING[code];
  if (shut) return shut;
  if (status === 0) return t("No connection. Check your network, then try again.");
  if (status === 429) return t("Too many requests. Wait a few seconds, then try again.");
  if (status >= 500) return t("We are very busy. Nothing is lost; please try again.");
  return t("That did not work, and nothing has changed. Reload the page and try again.");
}

/** For the console, which is in English. @param {number} n @param {string} one */
export const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;
