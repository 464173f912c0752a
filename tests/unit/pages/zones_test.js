// @ts-check
// Times as an operator types them, by the clock of the venue.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isZone, localIn, momentsIn } from "../../../gateway/pages/static/zones.js";

test("a venue's clock is read and written, wherever the operator sits", () => {
  for (
    const [zone, local, moment] of [
      ["Europe/Berlin", "2027-01-10T20:00", "2027-01-10T19:00:00.000Z"],
      ["Europe/Berlin", "2027-07-10T20:00", "2027-07-10T18:00:00.000Z"],
      ["America/New_York", "2027-01-09T22:30", "2027-01-10T03:30:00.000Z"],
      ["Asia/Kolkata", "2027-01-10T05:00", "2027-01-09T23:30:00.000Z"],
      ["Pacific/Kiritimati", "2027-01-10T00:00", "2027-01-09T10:00:00.000Z"],
      ["UTC", "2027-01-10T20:00", "2027-01-10T20:00:00.000Z"],
    ]
  ) {
    assert.deepEqual(momentsIn(local, zone), [moment]);
    assert.equal(localIn(moment, zone), local);
  }
});

test("a time that the clocks leave out is no moment, and one that comes twice is two", () => {
  assert.deepEqual(momentsIn("2027-03-28T02:30", "Europe/Berlin"), []);
  assert.deepEqual(momentsIn("2027-10-31T02:30", "Europe/Berlin"), [
    "2027-10-31T00:30:00.000Z",
    "2027-10-31T01:30:00.000Z",
  ]);
  assert.deepEqual(momentsIn("2027-10-31T03:00", "Europe/Berlin"), ["2027-10-31T02:00:00.000Z"]);
  assert.deepEqual(momentsIn("2027-03-14T02:30", "America/New_York"), []);
  // Lord Howe's clocks go back by half an hour.
  assert.equal(momentsIn("2027-04-04T01:45", "Australia/Lord_Howe").length, 2);
  assert.deepEqual(momentsIn("", "UTC"), []);
});

test("a zone is one of IANA's", () => {
  assert.equal(isZone("Europe/Berlin"), true);
  assert.equal(isZone("Europe/Nowhere"), false);
  assert.deepEqual(momentsIn("2027-01-10T20:00", "Europe/Nowhere"), []);
});
