// @ts-check
// Where the sale of an event stands, as the console's pages say it.
import { momentWords } from "./moments.js";

/** Why nothing of an event is sold, nor is about to be. @type {Record<string, string>} */
const SHUT = { over: "Sale is over", unpublished: "Off sale", cancelled: "Cancelled" };

/** @param {HTMLElement} tag @param {{sale: string, onSaleAt: string}} event @param {boolean} soldOut */
export function showSale(tag, event, soldOut) {
  const shut = SHUT[event.sale] ?? (soldOut ? "Sold out" : "");
  const isComing = event.sale === "coming";
  tag.textContent = shut || (isComing ? `From ${momentWords(event.onSaleAt, "day")}` : "On sale");
  tag.className = `tag ${shut ? "is-shut" : isComing ? "is-slow" : "is-open"}`;
}
