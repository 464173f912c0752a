// @ts-check
// What the page knows of a hall: its stock by ticket type and by section, through snapshots and changes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACCESSIBLE, Hall } from "../../../gateway/pages/static/plan/hall.js";
import { stepOf } from "../../../gateway/pages/static/plan/painter.js";

/** @import { PlanOverview, PlanSectionSummary } from "../../../gateway/pages/contract.d.ts" */

/** @param {number} sectionId @param {number[]} types @param {number} seats @returns {PlanSectionSummary} */
const section = (sectionId, types, seats) => ({
  sectionId,
  name: `Section ${sectionId}`,
  outline: [[0, 0], [10, 0], [10, 10]],
  labelAt: [5, 5],
  ticketTypeIds: types,
  priceMin: 10,
  priceMax: 10,
  seats,
  free: seats,
  accessible: 0,
  rows: ["1", "2"],
  href: `/sections/${sectionId}`,
});

/** @type {PlanOverview} */
const PLAN = {
  eventId: 1,
  version: 1,
  planVersion: "0",
  isGenerated: true,
  name: "",
  width: 100,
  height: 100,
  focus: { label: "Stage", kind: "stage", outline: [], at: [20, -50] },
  shapes: [],
  picture: null,
  // Type 1 is cut into two sections, type 2 is one section by itself.
  sections: [section(1, [1], 3), section(2, [1], 3), section(3, [2], 4)],
};
const TICKETS = new Map([[1, { price: 10, quantity: 6 }], [2, { price: 30, quantity: 4 }]]);

const begin = () => new Hall(PLAN, TICKETS);

/** @param {Hall} hall */
const openFirst = (hall) =>
  hall.open({
    sectionId: 1,
    rows: [{
      ticketTypeId: 1,
      rowNumber: 1,
      label: "A",
      seats: [[1, 0, 0, ACCESSIBLE], [2, 10, 0, 0, "B"], [3, 40, 0, 0]],
    }],
  });

/** @param {Hall} hall */
const free = (hall) => [...hall.sections.values()].map((one) => one.free);

test("a section's share is counted where its seats are known, or its ticket type is its own", () => {
  const hall = begin();
  hall.snapshot([[1, 1, 1, "booked"], [2, 1, 1, "reserved"], [2, 1, 2, "booked"]]);
  assert.deepEqual(free(hall), [3, 3, 2]);
  assert.equal(hall.isBehind, true, "nobody knows in which section of type 1 the seat is");
  openFirst(hall);
  assert.deepEqual(free(hall), [2, 3, 2]);
  hall.countAnew(PLAN.sections.map((one) => ({ ...one, free: 1 })));
  assert.deepEqual(free(hall), [2, 1, 1], "what is drawn is known better");
  assert.equal(hall.isBehind, false);
});

test("the stock by ticket type needs no section to be opened", () => {
  const hall = begin();
  hall.snapshot([[1, 1, 1, "booked"], [1, 2, 2, "reserved"]]);
  assert.deepEqual(hall.stock(1), { available: 4, held: 1 });
  hall.change([[1, 1, 1, "available"], [1, 2, 2, "booked"], [1, 2, 3, "reserved"], [2, 1, 1, "reserved"]]);
  assert.deepEqual(hall.stock(1), { available: 4, held: 1 });
  assert.deepEqual(hall.stock(2), { available: 3, held: 1 });
  assert.deepEqual(free(hall)[2], 3);
  // The same news once more changes nothing.
  hall.change([[2, 1, 1, "reserved"], [1, 1, 1, "available"]]);
  assert.deepEqual([hall.stock(1), hall.stock(2)], [{ available: 4, held: 1 }, { available: 3, held: 1 }]);
  assert.deepEqual(hall.takenSeats().sort(), [[1, 2, 2, "booked"], [1, 2, 3, "reserved"], [2, 1, 1, "reserved"]]);
});

test("a picked seat that is taken is lost, and the fan's own seats are never free", () => {
  const hall = begin();
  openFirst(hall);
  hall.picked = new Set(["1/1/2", "1/1/3"]);
  assert.equal(hall.statusOf("1/1/2"), "mine");
  assert.deepEqual(hall.change([[1, 1, 2, "reserved"], [1, 1, 1, "reserved"]]), ["1/1/2"]);
  assert.deepEqual(hall.snapshot([[1, 1, 3, "booked"]]), ["1/1/3"]);
  hall.own = new Set(["1/1/1"]);
  assert.equal(hall.isFree("1/1/1"), false);
});

test("the first seat of the tab key is a free one near to what fans look at, which suits them if any does", () => {
  const hall = begin();
  openFirst(hall);
  const seats = [...hall.seats.values()];
  assert.equal(hall.firstFree(seats, () => true)?.key, "1/1/2");
  hall.change([[1, 1, 2, "booked"]]);
  assert.equal(hall.firstFree(seats, () => true)?.key, "1/1/1");
  assert.equal(hall.firstFree(seats, ({ flags }) => flags === 0)?.key, "1/1/3");
  hall.change([[1, 1, 1, "booked"], [1, 1, 3, "booked"]]);
  assert.equal(hall.firstFree(seats, () => true), null);
});

test("rows and seats are called what the plan calls them, and an aisle parts a row", () => {
  const hall = begin();
  openFirst(hall);
  const seat = hall.seats.get("1/1/2");
  assert.ok(seat);
  assert.deepEqual([seat.label, seat.of.label, seat.at], ["B", "A", 1]);
  assert.deepEqual(hall.runOf(seat).map(({ key }) => key), ["1/1/1", "1/1/2"]);
});

test("prices have their colours in order, and two are told apart", () => {
  const steps = [10, 20, 30, 40].map((price) => stepOf([10, 20, 30, 40], price));
  assert.deepEqual(steps, [...steps].sort((a, b) => a - b));
  assert.equal(new Set(steps).size, 4);
  assert.notEqual(stepOf([10, 20], 10), stepOf([10, 20], 20));
});
