// @ts-check
// A seat in words.
import { t } from "./text.js";

/** A seat in words. @param {string | undefined} type the name of its ticket type @param {number | string} row @param {number | string} seat */
export const seatWords = (type, row, seat) => t("{type} row {row} seat {seat}", { type: type ?? t("Seat"), row, seat });
