// @ts-check
// A hall's seats as a small picture.
import { plural } from "../words.js";

/** @typedef {{rows: number, seatsPerRow: number, firstRow: number, firstSeat: number}} HallBlock */

const SVG = "http://www.w3.org/2000/svg";
const ROWS_MAX = 60;
const SEATS_MAX = 3000;

/** Draw blocks of seats. Too large a hall has no picture. @param {SVGSVGElement} svg @param {HallBlock[]} blocks */
export function drawSeats(svg, blocks) {
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
  svg.setAttribute("aria-label", `${plural(seats, "seat")} in ${plural(height, "row")}`);
  for (const block of blocks) {
    for (let row = 0; row < block.rows; row++) {
      for (let seat = 0; seat < block.seatsPerRow; seat++) {
        svg.append(markAt(block.firstSeat - left + seat, block.firstRow - top + row));
      }
    }
  }
}

/** @param {number} x @param {number} y */
function markAt(x, y) {
  const mark = document.createElementNS(SVG, "rect");
  mark.setAttribute("x", String(x + 0.15));
  mark.setAttribute("y", String(y + 0.15));
  mark.setAttribute("width", "0.7");
  mark.setAttribute("height", "0.7");
  mark.setAttribute("rx", "0.2");
  return mark;
}
