// @ts-check
// What a waiting fan reads of the wait. The console shows its operators the same words.
import { count, t } from "./text.js";
import { eta } from "./words.js";

/** @import { Place } from "../contract.d.ts" */

/** What the words go by: a fan's place, or what a newcomer's would be. @typedef {Partial<Place> & {ratePerMinute?: number}} WaitNews */

/** @param {WaitNews} news @param {boolean} paused @param {boolean} allHeld */
export function waitWords(news, paused, allHeld) {
  if (paused) return t("The line is paused. Your place is safe.");
  if (news.lobby) return t("The lobby’s places are being drawn. Yours comes after them.");
  if (news.idle) return t("You go in again as soon as you show that you are here.");
  if (news.ratePerMinute === 0) return t("The line is standing still. Your place is safe.");
  if (allHeld) return t("All seats are in baskets right now. Your place is safe.");
  if (news.position === 1) return t("You are next");
  return eta(news.etaSeconds, news.etaRange);
}

/**
 * How fast the line moves, as the estimate has it: the rate that operators ask for may be far above what comes to pass.
 * @param {WaitNews} news @param {boolean} paused @param {boolean} allHeld
 * @returns {string} empty where the news does not say
 */
export function paceWords(news, paused, allHeld) {
  const pace = news.ratePerMinute === 0 ? 0 : news.linePerMinute;
  if (pace === undefined) return "";
  if (paused) return t("paused");
  if (allHeld || pace === null) return "–";
  return pace > 0 && pace < 1 ? t("less than 1 per minute") : t("{n} per minute", { n: count(Math.round(pace)) });
}
