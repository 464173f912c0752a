// @ts-check
// Amounts are written with as many digits as the currency's minor unit has, whatever the browser would do by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { moneyIn } from "../../../gateway/pages/static/words.js";

for (
  const [currency, digits, words] of /** @type {const} */ ([
    ["JPY", 0, "12345"],
    ["EUR", 2, "123.45"],
    ["IQD", 3, "12.345"],
    ["KWD", 3, "12.345"],
    ["CLF", 4, "1.2345"],
    ["UYW", 4, "1.2345"],
  ])
) {
  test(`12,345 minor units of ${currency}`, () => {
    const written = moneyIn(currency, digits)(12_345).replaceAll(",", "");
    assert.ok(written.endsWith(words), written);
  });
}
