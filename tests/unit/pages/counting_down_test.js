// @ts-check
// How a page counts its number down between two frames of the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countDown, fallOf, lowest } from "../../../gateway/pages/static/counting-down.js";

/** @param {number} from @param {import("../../../gateway/pages/static/counting-down.js").Fall} fall @returns {Promise<number[]>} what was shown, until the last number */
const counted = (from, fall) =>
  new Promise((resolve) => {
    /** @type {number[]} */
    const shown = [];
    countDown(from, fall, (number) => {
      shown.push(number);
      if (number === fall.to) resolve(shown);
    });
  });

test("a number falls in steps to where it may fall, and no further", async () => {
  const shown = await counted(1000, { to: 900, seconds: 1 });
  assert.deepEqual(shown, [...shown].sort((one, other) => other - one));
  assert.equal(new Set(shown).size, shown.length);
  assert.equal(shown[shown.length - 1], 900);
});

test("a stopped count shows nothing more", async () => {
  /** @type {number[]} */
  const shown = [];
  const stop = countDown(10, { to: 1, seconds: 0.3 }, (number) => shown.push(number));
  stop();
  await counted(2, { to: 1, seconds: 0.6 });
  assert.deepEqual(shown, []);
});

test("a frame that says nothing of it has the number stand", () => {
  assert.equal(fallOf({}), null);
  assert.deepEqual(fallOf({ fallsTo: 7, fallsInSeconds: 2 }), { to: 7, seconds: 2 });
});

test("the number shown is the lower one, unless the server says that it rose", () => {
  assert.equal(lowest(0, 5, 9), 9, "nothing was said before");
  assert.equal(lowest(9, 5, 8), 5);
  assert.equal(lowest(9, 5, 4), 4);
  assert.equal(lowest(9, 5, 12), 12, "it is another place");
});
