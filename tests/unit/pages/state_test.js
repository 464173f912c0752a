// @ts-check
// How each thing that the server says changes what the event's page shows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { initialState, reduce, Store } from "../../../gateway/pages/static/event/state.js";

/** @import { ReservationAnswer } from "../../../gateway/pages/contract.d.ts" */
/** @import { Action, EventData, News, State } from "../../../gateway/pages/static/event/state.js" */

/** @type {EventData} */
const EVENT = {
  own: false,
  isShop: false,
  eventId: 7,
  name: "Kammerspiel",
  currency: "EUR",
  exponent: 2,
  pushKey: "",
  seatsPerFanMax: 4,
  seatsWholeMax: 1200,
  roomState: "open",
  onSaleAt: "2026-06-01T10:00:00Z",
  state: null,
  holdSeconds: 600,
  revision: 1,
  lobby: null,
  tickets: [],
};
/** @type {ReservationAnswer} */
const HOLD = {
  reservationId: "r",
  eventId: 7,
  expiresAt: "2026-06-12T19:30:00Z",
  totalAmount: 1,
  currency: "EUR",
  seats: [],
};
const LOBBY = /** @type {const} */ ({
  state: "open",
  opensAt: "2026-06-12T19:00:00Z",
  onSaleAt: "2026-06-12T19:30:00Z",
  secondsToOnSale: 60,
  participants: 3,
  drawn: 0,
  seedHash: "00",
  fanHash: "ff",
});

const begin = () => initialState(EVENT, "join", { token: null, firstPosition: 0, message: "" });

/** @param {State} state @param {...Action} actions */
const after = (state, ...actions) => actions.reduce(reduce, state);

/** @param {News} news @returns {Action} */
const news = (news) => ({ type: "news", news });

/** @param {number} position @param {News} [more] @returns {Action} */
const at = (position, more) => news({ state: "waiting", position, ...more });

for (
  const [said, stage] of /** @type {[News, string][]} */ ([
    [{ state: "lobby", lobby: LOBBY }, "lobby"],
    [{ state: "waiting", position: 3 }, "waiting"],
    [{ state: "called", claimBySeconds: 30 }, "called"],
    [{ state: "admitted", expiresAt: "2026-06-12T19:30:00Z" }, "choose"],
    [{ state: "done" }, "done"],
    [{ state: "left" }, "join"],
    [{ state: "none" }, "join"],
    [{ state: "expired" }, "expired"],
    [{ state: "sold_out" }, "sold_out"],
    [{ state: "closed" }, "closed"],
    [{ state: "closed", lobby: { ...LOBBY, state: "early" } }, "early"],
    [{ state: "waiting", roomState: "off" }, "choose"],
    [{ state: "a state of a later release" }, "join"],
  ])
) {
  test(`news that the fan is ${JSON.stringify(said).slice(0, 60)} shows ${stage}`, () => {
    assert.equal(after(begin(), news(said)).stage, stage);
  });
}

test("tokens, room and message stay until other ones come", () => {
  const state = after(begin(), at(3, { token: "t", pass: "p", roomState: "paused", message: "Soon." }), at(2));
  const { token, pass, roomState, message, standing } = state;
  assert.deepEqual([token, pass, roomState, message, standing], ["t", "p", "paused", "Soon.", "waiting"]);
  assert.equal(after(state, { type: "message", text: "" }).message, "");
  assert.equal(after(state, at(1, { message: "" })).message, "");
});

test("texts by language come with the message, and go with it", () => {
  const messages = { de: "Bald." };
  const told = after(begin(), { type: "message", text: "Soon.", texts: messages }, at(2));
  assert.deepEqual([told.message, told.messages], ["Soon.", messages]);
  assert.deepEqual(after(told, at(1, { message: "Now.", messages: {} })).messages, {});
  assert.deepEqual(after(told, { type: "message", text: "" }).messages, {});
});

test("progress counts from the furthest back, and never falls", () => {
  const way = [at(10), at(5), at(8), at(1)].reduce(
    (states, action) => [...states, reduce(states[states.length - 1], action)],
    [begin()],
  );
  assert.deepEqual(way.map((state) => Math.round(state.progress)), [0, 100, 600, 600, 1000]);
  assert.equal(way[4].firstPosition, 10);
  assert.equal(
    after(initialState(EVENT, "waiting", { token: "t", firstPosition: 20, message: "" }), at(5)).progress,
    800,
  );
  assert.equal(after(begin(), at(1)).progress, 500);
});

test("news without a position leaves progress and class alone", () => {
  const state = after(begin(), at(3, { priority: true }), news({ state: "waiting", position: null }));
  assert.deepEqual([state.firstPosition, state.priority], [3, true]);
});

test("in another class positions are counted anew", () => {
  const state = after(begin(), at(9), at(4), at(2, { priority: true }));
  assert.deepEqual([state.priority, state.firstPosition, Math.round(state.progress)], [true, 2, 500]);
  assert.equal(after(state, at(1)).priority, false, "the stream names the priority class with every position");
});

test("a number that the page has counted down rises at no news, and stands where it fell too low", () => {
  const told = after(begin(), at(1000, { fallsTo: 900, fallsInSeconds: 4 }));
  assert.deepEqual(told.fall, { to: 900, seconds: 4 });
  const counted = after(told, { type: "counted", position: 920 });
  assert.deepEqual([counted.place?.position, counted.fall], [920, told.fall], "the same count goes on");
  assert.ok(counted.progress > told.progress);
  const late = after(counted, at(950));
  assert.deepEqual([late.place?.position, late.fall], [920, null]);
  assert.equal(after(late, at(940)).place?.position, 920);
  assert.equal(after(late, at(910)).place?.position, 910);
  assert.equal(after(late, at(940, { priority: true })).place?.position, 940, "another class is counted apart");
  assert.equal(after(late, { type: "left" }, at(960)).place?.position, 960, "and so is another place");
});

test("only a fan who waits has a number that falls", () => {
  const called = after(begin(), at(10, { fallsTo: 8, fallsInSeconds: 2 }), news({ state: "called" }));
  assert.equal(after(called, { type: "counted", position: 9 }), called);
});

test("a fan with a hold stays at the checkout, whatever the line says", () => {
  const state = after(begin(), news({ state: "admitted", pass: "p" }), { type: "held", hold: HOLD });
  assert.deepEqual([state.stage, state.choosing, state.hold], ["held", false, HOLD]);
  const told = after(state, news({ state: "expired", roomState: "closed", message: "Bye." }));
  assert.deepEqual([told.stage, told.standing, told.roomState, told.message], ["held", "expired", "closed", "Bye."]);
  const ended = after(told, { type: "holdEnded", reservationId: "r" });
  assert.deepEqual([ended.stage, ended.hold], ["held", null], "until the server has said where the fan is now");
  assert.equal(after(ended, news({ state: "expired" })).stage, "expired");
  assert.equal(after(ended, news({ roomState: "off" })).stage, "choose");
});

test("all holds of the fan are known, each once, and the next one is shown when one ends", () => {
  const other = { ...HOLD, reservationId: "other" };
  const choosing = after(begin(), news({ state: "admitted" }));
  const known = after(choosing, { type: "heldElsewhere", hold: other }, { type: "heldElsewhere", hold: other });
  assert.deepEqual([known.stage, known.hold, known.holds], ["choose", null, [other]]);
  const both = after(known, { type: "held", hold: HOLD }, { type: "held", hold: HOLD });
  assert.deepEqual([both.hold, both.holds], [HOLD, [other, HOLD]]);
  const chosen = after(both, { type: "holdChosen", reservationId: "other" });
  assert.deepEqual([chosen.hold, chosen.stage], [other, "held"]);
  assert.equal(after(both, { type: "holdChosen", reservationId: "unknown" }), both);
  const ended = after(chosen, { type: "holdEnded", reservationId: "other" });
  assert.deepEqual([ended.hold, ended.holds], [HOLD, [HOLD]]);
  assert.deepEqual(after(ended, { type: "holdEnded", reservationId: "other" }).hold, HOLD);
  const read = after(begin(), { type: "holdsRead", holds: [HOLD, other] });
  assert.deepEqual([read.stage, read.hold, read.holds], ["join", null, [HOLD, other]]);
});

test("a purchase ends the turn, wherever it is made, unless more seats are held or there is no line", () => {
  const other = { ...HOLD, reservationId: "other" };
  const bought = /** @type {const} */ ({ type: "bought", reservationId: "r" });
  const held = after(begin(), news({ state: "admitted" }), { type: "held", hold: HOLD });
  assert.equal(after(held, bought).stage, "done");
  const more = after(held, { type: "heldElsewhere", hold: other }, bought);
  assert.deepEqual([more.stage, more.hold], ["held", other]);
  const choosing = after(begin(), news({ state: "admitted" }), { type: "heldElsewhere", hold: HOLD }, bought);
  assert.deepEqual([choosing.stage, choosing.choosing], ["done", false]);
  assert.equal(after(begin(), news({ roomState: "off" }), bought).stage, "choose");
});

test("a place that another tab got ends the tries of this one", () => {
  const away = after(begin(), { type: "retryLater", stage: "line_full", seconds: 4 });
  assert.deepEqual([after(away, at(2)).stage, after(away, at(2)).retry], ["waiting", null]);
});

test("a fan who did nothing is out of the seats, in front of the line, and comes in again", () => {
  const ends = "2026-06-12T19:30:00Z";
  const idle = { expiresAt: ends, idleEndsAt: ends, mayRunOut: true };
  const asked = after(begin(), news({ state: "admitted", pass: "p", ...idle }));
  assert.deepEqual([asked.turnEndsAt, asked.idleEndsAt, asked.crowded], [ends, ends, true]);
  assert.equal(after(asked, news({ state: "admitted", expiresAt: ends, idleEndsAt: null })).idleEndsAt, null);
  const out = after(asked, at(1, { idle: true }));
  assert.deepEqual([out.stage, out.choosing, out.idleEndsAt, out.crowded], ["waiting", false, null, false]);
  assert.equal(out.place?.idle, true);
  assert.deepEqual(after(out, at(1)).place?.idle, undefined);
  assert.equal(after(out, news({ state: "admitted", expiresAt: ends })).choosing, true);
});

test("a turn in doubt takes no more seats until the server admits again", () => {
  const state = after(begin(), news({ state: "admitted", expiresAt: "2026-06-12T19:30:00Z" }));
  assert.deepEqual([state.choosing, state.turnEndsAt], [true, "2026-06-12T19:30:00Z"]);
  const doubted = after(state, { type: "turnInDoubt" });
  assert.deepEqual([doubted.stage, doubted.choosing], ["choose", false]);
  assert.equal(after(doubted, news({ state: "admitted" })).choosing, true);
});

for (
  const [name, action, stage] of /** @type {[string, Action, string][]} */ ([
    ["left", { type: "left" }, "join"],
    ["was not found", { type: "noPlace", stage: "expired" }, "expired"],
    ["has bought", { type: "bought", reservationId: "r" }, "waiting"],
    ["is done", news({ state: "done" }), "done"],
  ])
) {
  test(`a fan who ${name} has no place any more`, () => {
    const state = after(begin(), at(3, { token: "t", pass: "p" }), action);
    const { token, pass, firstPosition, progress } = state;
    assert.deepEqual([state.stage, token, pass, firstPosition, progress], [stage, null, "", 0, 0]);
  });
}

test("a fan who was turned away tries again, and stops trying when a try begins", () => {
  const away = after(begin(), { type: "retryLater", stage: "line_full", seconds: 4 });
  assert.deepEqual([away.stage, away.retry], ["line_full", { seconds: 4 }]);
  const again = after(away, { type: "joining" });
  assert.deepEqual([again.stage, again.retry], ["line_full", null]);
  assert.equal(after(again, { type: "codeRefused" }).stage, "join");
  assert.equal(after(begin(), { type: "retryLater", seconds: 5 }).stage, "join");
  assert.equal(after(begin(), at(2), { type: "codeRefused" }).stage, "waiting");
  assert.equal(after(begin(), { type: "refused", stage: "closed" }).stage, "closed");
});

test("every call is one to be answered, also a second one", () => {
  const first = after(begin(), news({ state: "called", claimBySeconds: 30 }));
  const second = after(first, { type: "news", news: { state: "called", claimBySeconds: 30 }, passedOn: true });
  assert.deepEqual([first.call, second.call], [{ seconds: 30, passedOn: false }, { seconds: 30, passedOn: true }]);
  assert.notEqual(first.call, second.call);
});

test("the state is never changed in place", () => {
  const state = begin();
  const copy = structuredClone(state);
  after(state, at(3, { token: "t" }), { type: "held", hold: HOLD }, { type: "left" });
  assert.deepEqual(state, copy);
});

test("what a listener dispatches comes after all have shown the change before", () => {
  const store = new Store(begin());
  /** @type {string[]} */
  const shown = [];
  store.listeners.push((state) => {
    if (state.stage === "waiting") store.dispatch({ type: "left" });
  });
  store.listeners.push((state, before) => shown.push(`${before.stage} to ${state.stage}`));
  store.dispatch(at(1, { token: "t" }));
  assert.deepEqual(shown, ["join to waiting", "waiting to join"]);
});

test("the server knows the fan by place and pass", () => {
  const store = new Store(begin());
  assert.deepEqual(store.headers, {});
  store.dispatch(at(1, { token: "t", pass: "p" }));
  assert.deepEqual(store.headers, { "X-Place-Token": "t", "X-Admission-Pass": "p" });
});
