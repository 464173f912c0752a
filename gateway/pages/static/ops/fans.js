// @ts-check
// What fans read at this moment, and what the wall tells besides the figures: the wait, the sell-out, the takings.
import { readData } from "../dom.js";
import { momentWords } from "../moments.js";
import { count } from "../text.js";
import { paceWords, waitWords } from "../wait-words.js";
import { moneyIn, returnWords } from "../words.js";
import { put } from "./figures.js";

/** @import { RoomAnswer } from "../../contract.d.ts" */

/** @type {Record<string, number>} */
const exponents = readData("ops-data").exponents;
/** @type {Map<string, (amount: number) => string>} */
const moneys = new Map();

/** @param {RoomAnswer} room */
function takings({ currency, takings: amount }) {
  const money = moneys.get(currency) ?? moneyIn(currency, exponents[currency] ?? 2);
  moneys.set(currency, money);
  return money(amount);
}

/** What a fan reads whom no line awaits. @type {Record<string, string>} */
const OTHERWISE = {
  lobby: "Fans are in the lobby until the sale begins.",
  closed: "The line is closed.",
  off: "There is no line: fans go straight to the seats.",
  sold_out: "Every ticket is sold.",
  rebuilding: "Everyone’s place is coming back by itself.",
};

/** @param {RoomAnswer} room */
function otherwise({ closed, sale, state }) {
  if (sale === "coming" && state === "closed" && !closed) return "The lobby is not open yet.";
  return OTHERWISE[state] ?? "";
}

/** @param {RoomAnswer} room */
function waitNow({ newcomer, waiting, state }) {
  if (!newcomer || state !== "open") return "–";
  if (!waiting && newcomer.etaRange && newcomer.etaRange[1] < 60) return "none";
  if (!newcomer.etaRange) return "–";
  const [least, most] = newcomer.etaRange;
  if (most < 60) return "under 1 min";
  const low = Math.max(1, Math.floor(least / 60));
  return `${count(low)}–${count(Math.max(low + 1, Math.ceil(most / 60)))} min`;
}

const DAY_MS = 86_400_000;

/** @param {RoomAnswer} room @param {number | null} soldOutAt ms @param {number} at ms */
export function drawFans(room, soldOutAt, at) {
  const { free, held, message, newcomer, rateNowPerMinute, state } = room;
  put("waitNow", waitNow(room));
  const isFar = soldOutAt === null || soldOutAt - at > DAY_MS;
  put("soldOutAt", free + held ? (isFar ? "–" : momentWords(soldOutAt, "clock")) : "now");
  put("takings", takings(room));
  const paused = state === "paused";
  const stock = newcomer?.stock;
  const allHeld = Boolean(stock && stock.free <= 0 && stock.held > 0);
  const news = { ...newcomer, ratePerMinute: state === "open" ? rateNowPerMinute : undefined };
  put("fansWait", newcomer ? waitWords(news, paused, allHeld) : otherwise(room));
  const pace = newcomer ? paceWords(news, paused, allHeld) : "";
  const more = [
    newcomer ? `${count(room.waiting)} waiting` : "",
    pace && pace !== "–" ? `speed: ${pace}` : "",
    allHeld && stock ? returnWords(stock) : newcomer?.mayRunOut ? "There may be no seats left at their turn." : "",
  ];
  put("fansMore", newcomer ? `Whoever joins now: ${more.filter(Boolean).join(" · ")}` : "");
  put("fansMessage", message);
  /** @type {HTMLElement} */ (document.querySelector('[data-f="fansMessage"]')).hidden = !message;
}
