// @ts-check
// Where things of a hall's plan are on the screen, which seat is beside which, and which would be left alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ARROWS,
  betterPick,
  boundsOf,
  distanceTo,
  fitView,
  kept,
  leftAlone,
  neighbour,
  pointsOf,
  runsOf,
  seen,
  SpotIndex,
  toBox,
  toPlan,
  zoomed,
} from "../../../gateway/pages/static/plan/geometry.js";

/** @import { Spot } from "../../../gateway/pages/static/plan/geometry.js" */

const SIZE = { width: 400, height: 300 };
const HALL = { left: 0, top: 0, right: 1000, bottom: 500 };

/** A row of seats, written as a line: `.` free, `x` taken, `P` picked, a space an aisle. @param {string} line */
function row(line) {
  /** @type {(Spot & {state: string})[]} */
  const spots = [];
  [...line].forEach((state, index) => {
    if (state !== " ") spots.push({ key: String(index), x: 10 * index, y: 0, state });
  });
  return spots;
}

/** @param {Spot & {state: string}} spot */
const isFree = ({ state }) => state !== "x";
/** @param {Spot & {state: string}} spot */
const isPicked = ({ state }) => state === "P";

test("a place of the box is a point of the plan, and back", () => {
  const view = { x: 120, y: 80, scale: 2.5 };
  for (const [x, y] of [[0, 0], [400, 300], [17, 251]]) {
    const [px, py] = toPlan(view, SIZE, x, y);
    const [backX, backY] = toBox(view, SIZE, px, py);
    assert.ok(Math.abs(backX - x) < 1e-9 && Math.abs(backY - y) < 1e-9);
  }
});

test("the whole is seen at the scale that fits it, and no seat becomes larger than it may", () => {
  const whole = fitView(HALL, SIZE, 4);
  assert.equal(whole.scale, 0.4);
  assert.deepEqual(boundsOf([[3, 4], [-1, 9]]), { left: -1, top: 4, right: 3, bottom: 9 });
  const { left, right } = seen(whole, SIZE);
  assert.ok(left <= 0 && right >= 1000);
  assert.equal(fitView({ left: 0, top: 0, right: 20, bottom: 10 }, SIZE, 4).scale, 4);
});

test("what is under the finger stays there while it zooms", () => {
  const view = { x: 500, y: 250, scale: 1 };
  const closer = zoomed(view, SIZE, 3, 37, 211);
  const before = toPlan(view, SIZE, 37, 211);
  const after = toPlan(closer, SIZE, 37, 211);
  assert.ok(Math.abs(before[0] - after[0]) < 1e-9 && Math.abs(before[1] - after[1]) < 1e-9);
});

test("nobody can pan or zoom beside the hall", () => {
  for (const wild of [{ x: -9e9, y: 9e9, scale: 2 }, { x: 0, y: 0, scale: 1e-6 }, { x: 1e6, y: 0, scale: 99 }]) {
    const view = kept(wild, HALL, SIZE, 4);
    assert.ok(view.scale >= 0.4 && view.scale <= 4);
    const { left, right } = seen(view, SIZE);
    assert.ok(left >= -1e-9 && right <= 1000 + 1e-9);
  }
});

test("a seat is found by where it is", () => {
  const spots = Array.from({ length: 5000 }, (_, index) => ({
    key: String(index),
    x: 10 * (index % 100) - 300,
    y: 12 * Math.floor(index / 100) - 90,
  }));
  const index = new SpotIndex(spots);
  for (const [x, y, within] of [[-298, -89, 5], [331, 213, 7], [690, 499, 9], [5000, 0, 50]]) {
    const nearest = spots.map((spot) => ({ spot, away: Math.hypot(spot.x - x, spot.y - y) }))
      .sort((a, b) => a.away - b.away)[0];
    assert.equal(index.at(x, y, within), nearest.away <= within ? nearest.spot : null);
  }
  const inside = { left: -5, top: -7, right: 44, bottom: 31 };
  /** @type {string[]} */
  const found = [];
  index.within(inside, ({ key }) => found.push(key));
  const wanted = spots.filter((spot) => distanceTo(inside, spot.x, spot.y) === 0).map(({ key }) => key);
  assert.deepEqual(found.sort(), wanted.sort());
  assert.ok(wanted.length > 5);
});

test("an arrow key goes to the neighbour in its direction, also where rows are turned", () => {
  for (const turn of [0, 0.4, -0.4]) {
    const spots = [];
    for (let line = 0; line < 3; line++) {
      for (let seat = 0; seat < 3; seat++) {
        const [x, y] = [10 * seat, 12 * line];
        spots.push({
          key: `${line}${seat}`,
          x: x * Math.cos(turn) - y * Math.sin(turn),
          y: x * Math.sin(turn) + y * Math.cos(turn),
        });
      }
    }
    const middle = spots[4];
    for (const [key, wanted] of [["ArrowRight", "12"], ["ArrowLeft", "10"], ["ArrowUp", "01"], ["ArrowDown", "21"]]) {
      assert.equal(neighbour(spots, middle, ARROWS[key])?.key, wanted, `${key}, turned by ${turn}`);
    }
    assert.equal(neighbour(spots, spots[2], ARROWS.ArrowRight), null);
  }
});

test("an aisle parts a row", () => {
  assert.deepEqual(runsOf(row("...  .. .")).map((run) => run.length), [3, 2, 1]);
  assert.deepEqual(pointsOf(row(".  .")), [[0, 0], [30, 0]]);
  assert.deepEqual(runsOf([]), []);
});

for (
  const [line, alone] of /** @type {[string, number[]][]} */ ([
    ["P.P..", [1]],
    ["PP.x.", [2]],
    ["PP..x", []],
    [".PP..", [0]],
    [".PP.", [0, 3]],
    ["x.xPP", []], // nobody could have joined it before
    ["PPPPP", []],
    ["P. .P", [1, 3]],
  ])
) {
  test(`of ${line} these are left alone: ${alone}`, () => {
    const found = runsOf(row(line)).flatMap((run) => leftAlone(run, isFree, isPicked));
    assert.deepEqual(found.map(({ key }) => Number(key)), alone);
  });
}

for (
  const [line, better] of /** @type {[string, number[] | null][]} */ ([
    [".PP..", [0, 1]],
    ["P.P..", [0, 1]],
    ["xx.PP..xx", [2, 3]],
    ["x.PPx", null],
    [".P.", [0]],
    ["...PPPP.", [2, 3, 4, 5]],
  ])
) {
  test(`instead of ${line} one may take ${better}`, () => {
    const spots = row(line);
    const found = betterPick(spots, isFree, spots.filter(isPicked));
    assert.deepEqual(found && found.map(({ key }) => Number(key)), better);
  });
}
