// @ts-check
// Where things of a hall's plan stand, in tenths of a seat's pitch, and where they are on the screen. Nothing here
// touches the document.

/** @typedef {[number, number]} Point */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Rect */
/** @typedef {{width: number, height: number}} Size in CSS pixels */
/** @typedef {{x: number, y: number, scale: number}} View the plan's point in the middle of the box, and pixels a unit */
/** @typedef {{key: string, x: number, y: number}} Spot */

export const PITCH = 10;
const AISLE = 15; // Neighbours further apart than this are not adjacent; the server's plans say the same.
const CELL = 40;
const SIDEWAYS = 2.5; // how much a step aside counts against a step ahead
export const ARROWS = /** @type {Record<string, Point>} */ ({
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** @param {Iterable<Point>} points @returns {Rect} */
export function boundsOf(points) {
  const rect = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const [x, y] of points) {
    rect.left = Math.min(rect.left, x);
    rect.right = Math.max(rect.right, x);
    rect.top = Math.min(rect.top, y);
    rect.bottom = Math.max(rect.bottom, y);
  }
  return rect;
}

/** @param {Iterable<{x: number, y: number}>} spots @returns {Point[]} */
export const pointsOf = (spots) => Array.from(spots, ({ x, y }) => [x, y]);

/** @param {Rect} rect @param {number} by @returns {Rect} */
export const grown = ({ left, top, right, bottom }, by) => ({
  left: left - by,
  top: top - by,
  right: right + by,
  bottom: bottom + by,
});

/** The scale at which all of `bounds` is seen. @param {Rect} bounds @param {Size} size @param {number} scaleMax */
export const fitScale = ({ left, top, right, bottom }, { width, height }, scaleMax) =>
  Math.min(width / (right - left), height / (bottom - top), scaleMax);

/** @param {Rect} bounds @param {Size} size @param {number} scaleMax @returns {View} */
export const fitView = (bounds, size, scaleMax) => ({
  x: (bounds.left + bounds.right) / 2,
  y: (bounds.top + bounds.bottom) / 2,
  scale: fitScale(bounds, size, scaleMax),
});

/** @param {View} view @param {Size} size @param {number} x @param {number} y @returns {Point} the plan's */
export const toPlan = (view, { width, height }, x, y) => [
  view.x + (x - width / 2) / view.scale,
  view.y + (y - height / 2) / view.scale,
];

/** @param {View} view @param {Size} size @param {number} x @param {number} y @returns {Point} the box's */
export const toBox = (view, { width, height }, x, y) => [
  (x - view.x) * view.scale + width / 2,
  (y - view.y) * view.scale + height / 2,
];

/** What of the plan is seen. @param {View} view @param {Size} size @returns {Rect} */
export function seen(view, size) {
  const [left, top] = toPlan(view, size, 0, 0);
  const [right, bottom] = toPlan(view, size, size.width, size.height);
  return { left, top, right, bottom };
}

/** The view, no smaller than the whole and never beside it. @param {View} view @param {Rect} bounds @param {Size} size @param {number} scaleMax @returns {View} */
export function kept(view, bounds, size, scaleMax) {
  const scale = Math.min(Math.max(view.scale, fitScale(bounds, size, scaleMax)), scaleMax);
  /** @param {number} at @param {number} from @param {number} to @param {number} pixels */
  const along = (at, from, to, pixels) => {
    const half = pixels / scale / 2;
    return to - from <= 2 * half ? (from + to) / 2 : Math.min(Math.max(at, from + half), to - half);
  };
  return {
    x: along(view.x, bounds.left, bounds.right, size.width),
    y: along(view.y, bounds.top, bounds.bottom, size.height),
    scale,
  };
}

/** Another scale, with the plan's point under (x, y) where it was. @param {View} view @param {Size} size @param {number} scale @param {number} x @param {number} y @returns {View} */
export function zoomed(view, size, scale, x, y) {
  const [px, py] = toPlan(view, size, x, y);
  return { x: px - (x - size.width / 2) / scale, y: py - (y - size.height / 2) / scale, scale };
}

/** Whether a point lies in a polygon. @param {Point[]} outline @param {number} x @param {number} y */
export function isInside(outline, x, y) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [[ax, ay], [bx, by]] = [outline[i], outline[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** How far a point is from a rectangle; 0 inside. @param {Rect} rect @param {number} x @param {number} y */
export const distanceTo = ({ left, top, right, bottom }, x, y) =>
  Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));

/**
 * Seats found by where they are.
 * @template {Spot} S
 */
export class SpotIndex {
  /** @param {Iterable<S>} spots */
  constructor(spots) {
    /** @type {Map<number, S[]>} */
    this.cells = new Map();
    for (const spot of spots) {
      const cell = cellOf(Math.floor(spot.x / CELL), Math.floor(spot.y / CELL));
      const there = this.cells.get(cell);
      if (there) there.push(spot);
      else this.cells.set(cell, [spot]);
    }
  }

  /** @param {Rect} rect @param {(spot: S) => void} visit */
  within({ left, top, right, bottom }, visit) {
    for (let column = Math.floor(left / CELL); column <= right / CELL; column++) {
      for (let row = Math.floor(top / CELL); row <= bottom / CELL; row++) {
        for (const spot of this.cells.get(cellOf(column, row)) ?? []) {
          if (spot.x >= left && spot.x <= right && spot.y >= top && spot.y <= bottom) visit(spot);
        }
      }
    }
  }

  /** The seat nearest to a point. @param {number} x @param {number} y @param {number} within units */
  at(x, y, within) {
    /** @type {S | null} */
    let found = null;
    let nearest = within;
    this.within({ left: x - within, top: y - within, right: x + within, bottom: y + within }, (spot) => {
      const away = Math.hypot(spot.x - x, spot.y - y);
      if (away > nearest) return;
      nearest = away;
      found = spot;
    });
    return /** @type {S | null} */ (found);
  }
}

/** @param {number} column @param {number} row */
const cellOf = (column, row) => column * 100_003 + row;

/**
 * The seat that an arrow key goes to: the nearest one in its direction, where a step aside counts more than one ahead.
 * @template {Spot} S
 * @param {Iterable<S>} spots @param {Spot} from @param {Point} direction of length one
 */
export function neighbour(spots, from, [dx, dy]) {
  /** @type {S | null} */
  let found = null;
  let least = Infinity;
  for (const spot of spots) {
    const ahead = (spot.x - from.x) * dx + (spot.y - from.y) * dy;
    const aside = Math.abs((spot.x - from.x) * dy - (spot.y - from.y) * dx);
    if (ahead <= 0 || aside > 2 * ahead) continue;
    const cost = ahead + SIDEWAYS * aside;
    if (cost >= least) continue;
    least = cost;
    found = spot;
  }
  return found;
}

/**
 * A row's seats in the pieces between its aisles.
 * @template {Spot} S
 * @param {S[]} row in the order in which its seats stand @returns {S[][]}
 */
export function runsOf(row) {
  /** @type {S[][]} */
  const runs = [];
  row.forEach((spot, index) => {
    const before = row[index - 1];
    if (before && Math.hypot(spot.x - before.x, spot.y - before.y) <= AISLE) runs[runs.length - 1].push(spot);
    else runs.push([spot]);
  });
  return runs;
}

/**
 * Seats of one run that would be left alone, with no free seat beside them, by what is picked. One that nobody could
 * have joined before is not counted: it is no loss.
 * @template {Spot} S
 * @param {S[]} run @param {(spot: S) => boolean} isFree also those that are picked @param {(spot: S) => boolean} isPicked
 */
export function leftAlone(run, isFree, isPicked) {
  /** @param {number} index */
  const stays = (index) => index >= 0 && index < run.length && isFree(run[index]) && !isPicked(run[index]);
  /** @param {number} index */
  const picked = (index) => index >= 0 && index < run.length && isPicked(run[index]);
  return run.filter((_, index) =>
    stays(index) && !stays(index - 1) && !stays(index + 1) && (picked(index - 1) || picked(index + 1))
  );
}

/**
 * As many seats of the same run, side by side, the nearest to what is picked, that leave none alone; null where there
 * are none.
 * @template {Spot} S
 * @param {S[]} run @param {(spot: S) => boolean} isFree also those that are picked @param {S[]} picked of this run
 */
export function betterPick(run, isFree, picked) {
  const first = run.indexOf(picked[0]);
  /** @type {S[] | null} */
  let best = null;
  let least = Infinity;
  for (let start = 0; start + picked.length <= run.length; start++) {
    const choice = run.slice(start, start + picked.length);
    if (!choice.every(isFree) || leftAlone(run, isFree, (spot) => choice.includes(spot)).length) continue;
    if (Math.abs(start - first) >= least) continue;
    least = Math.abs(start - first);
    best = choice;
  }
  return best;
}
