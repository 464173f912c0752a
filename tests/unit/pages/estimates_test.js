// @ts-check
// The script says an estimate as the page did before it (test_formats.py).
import assert from "node:assert/strict";
import { test } from "node:test";
import { eta } from "../../../gateway/pages/static/words.js";
import estimates from "./estimates.json" with { type: "json" };

for (const [seconds, range, words] of /** @type {[number | null, [number, number] | null, string][]} */ (estimates)) {
  test(`${seconds} seconds, ${range}`, () => assert.equal(eta(seconds, range), words));
}
