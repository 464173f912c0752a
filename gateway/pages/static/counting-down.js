// @ts-check
// Between two of the server's frames a page counts its number down by itself, as far as the last frame says.

const STEP_MS = 250; // the length of a turn of the server's loop, which counts with the page

/** How far and how fast a number falls. @typedef {{to: number, seconds: number}} Fall */

/**
 * @param {{fallsTo?: number, fallsInSeconds?: number}} news
 * @returns {Fall | null} null where the number stands
 */
export const fallOf = ({ fallsTo, fallsInSeconds }) =>
  fallsTo && fallsInSeconds ? { to: fallsTo, seconds: fallsInSeconds } : null;

/**
 * The number to show when the server says a position. A page that has counted too far waits for the line.
 * @param {number} said the position that the server said before; 0: none
 * @param {number} shown what the page has counted down to since @param {number} position
 */
export const lowest = (said, shown, position) => said && position <= said ? Math.min(shown, position) : position;

/**
 * @param {number} from @param {Fall} fall
 * @param {(number: number) => void} show is called with each lower number
 * @returns {() => void} stops the count
 */
export function countDown(from, { to, seconds }, show) {
  const began = performance.now();
  let shown = from;
  const timer = setInterval(() => {
    const share = Math.min(1, (performance.now() - began) / (seconds * 1000));
    const number = from - Math.floor((from - to) * share);
    if (share === 1) clearInterval(timer);
    if (number < shown) show(shown = number);
  }, STEP_MS);
  return () => clearInterval(timer);
}
