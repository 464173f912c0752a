// @ts-check
// A hall's seats as a small picture.
import { count } from "../text.js";
import { plural } from "../words.js";

/** @typedef {{rows: number, seatsPerRow: number, firstRow: number, firstSeat: number}} HallBlock */

const SVG = "http://www.w3.org/2000/svg";
const ROWS_MAX = 60;
const SEATS_MAX = 3000;

/**
 * Draw blocks of seats. Too large a hall has no picture.
 * @param {SVGSVGElement} svg @param {HallBlock[]} blocks
 * @param {Map<string, string>} taken "booked" or "reserved" by row and seat: 3/12
 */
export function drawSeats(svg, blocks, taken) {
  const seats = blocks.reduce((sum, block) => sum + block.rows * block.seatsPerRow, 0);
  const top = Math.min(...blocks.map((block) => block.firstRow));
  const height = Math.max(...blocks.map((block) => block.firstRow + block.rows)) - top;
  const left = Math.min(...blocks.map((block) => block.firstSeat));
  const width = Math.max(...blocks.map((block) => block.firstSeat + block.seatsPerRow)) - left;
  svg.replaceChildren();
  const fits = seats > 0 && seats <= SEATS_MAX && height <= ROWS_MAX && width <= 4 * ROWS_MAX;
  svg.toggleAttribute("hidden", !fits);
  if (!fits) return;
  svg.setAttribute("viewBox", `0 0 ${Math.max(width, 40)} ${height}`);
  const states = [...taken.values()];
  const sold = states.filter((state) => state === "booked").length;
  const held = taken.size - sold;
  const words = [`${plural(seats, "seat")} in ${plural(height, "row")}`];
  if (sold) words.push(`${count(sold)} sold`);
  if (held) words.push(`${count(held)} held`);
  svg.setAttribute("aria-label", words.join(", "));
  for (const block of blocks) {
    for (let row = 0; row < block.rows; row++) {
      for (let seat = 0; seat < block.seatsPerRow; seat++) {
        const state = taken.get(`${block.firstRow + row}/${block.firstSeat + seat}`) ?? "free";
        svg.append(markAt(block.firstSeat - left + seat, block.firstRow - top + row, state));
      }
    }
  }
}

/** @param {number} x @param {number} y @param {string} state */
function markAt(x, y, state) {
  const mark = document.createElementNS(SVG, "rect");
  mark.setAttribute("x", String(x + 0.15));
  mark.setAttribute("y", String(y + 0.15));
  mark.setAttribute("width", "0.7");
  mark.setAttribute("height", "0.7");
  mark.setAttribute("rx", "0.2");
  mark.setAttribute("class", state);
  return mark;
}
