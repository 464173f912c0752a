// @ts-check
// What a gate's device makes of a ticket without a network: by its signature, its list, and what it let in itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { GateList, joined } from "../../../gateway/pages/static/scan/list.js";
import { readTicket, tidied } from "../../../gateway/pages/static/scan/ticket.js";

/** @import { TicketList } from "../../../gateway/pages/contract.d.ts" */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const EVENT = 7;

/** @param {Uint8Array} bytes */
function base32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => LETTERS[parseInt(five.padEnd(5, "0"), 2)]).join("");
}

/** @param {Uint8Array} bytes */
const base64 = (bytes) => Buffer.from(bytes).toString("base64url");

/** A key of the site, and what signs with it. */
async function makeKey() {
  const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]));
  const x = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const kid = crypto.getRandomValues(new Uint8Array(32));
  /** @param {number} seat @param {number} [eventId] */
  const sign = async (seat, eventId = EVENT) => {
    const said = new Uint8Array(42);
    said.set([1, ...kid.slice(0, 4), 0, 0, 0, 0, 0, eventId >> 8, eventId & 255]);
    said[39] = seat;
    const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, said));
    return base32(new Uint8Array([...said, ...signature]));
  };
  return { sign, key: { kid: base64(kid), x: base64(x) } };
}

const { sign, key } = await makeKey();
/** @param {string} text */
const read = (text) => readTicket(tidied(text), [key]);

/** @param {string[]} tickets hashes @param {string[]} codes hashes @returns {TicketList} */
const listOf = (tickets, codes) => ({
  eventId: EVENT,
  readAt: "2026-06-12T19:00:00Z",
  keys: [key],
  ticketTypes: { 1: "Stalls" },
  tickets,
  codes,
  ticketTypeIds: tickets.map(() => 1),
  places: tickets.map((_, i) => `Row 1 · Seat ${i + 1}`),
  used: [],
  next: null,
});

test("a signed ticket is let in without a list, and another site's is not", async () => {
  const list = new GateList(null);
  assert.equal(list.judge(await read(await sign(1)), EVENT).result, "admitted");
  const foreign = await (await makeKey()).sign(1);
  assert.equal(list.judge(await read(foreign), EVENT).result, "refused");
  assert.match(list.judge(await read(await sign(1, 8)), EVENT).words, /another event/);
  assert.equal(list.judge(await read("ABCDEFGHIJKLMNOP"), EVENT).result, "refused");
});

test("a ticket that was altered in any letter is refused", async () => {
  const ticket = await sign(1);
  for (const at of [0, 5, 20, 40, 66, 68, 100, 169]) {
    const other = LETTERS[(LETTERS.indexOf(ticket[at]) + 1) % 32];
    const altered = ticket.slice(0, at) + other + ticket.slice(at + 1);
    assert.equal(new GateList(null).judge(await read(altered), EVENT).result, "refused", `letter ${at}`);
  }
});

test("a list refuses what is not on it, and says which seat a ticket is for", async () => {
  const [first, second] = [await read(await sign(1)), await read(await sign(2))];
  const code = await read("abcd efgh ijkl mnop");
  const list = new GateList(joined([listOf([first.hash], [code.hash])]));
  const verdict = list.judge(first, EVENT);
  assert.deepEqual([verdict.result, verdict.place, verdict.ticketType], ["admitted", "Row 1 · Seat 1", "Stalls"]);
  assert.match(list.judge(second, EVENT).words, /not on the list/);
  assert.equal(list.judge(code, EVENT).result, "admitted");
});

test("a ticket is let in once, by its code or its signature, until that is undone", async () => {
  const [ticket, code] = [await read(await sign(1)), await read("ABCDEFGHIJKLMNOP")];
  const list = new GateList(joined([listOf([ticket.hash], [code.hash])]));
  list.note(code, { gate: "North", scannedAt: "2026-06-12T19:30:00Z" });
  const again = list.judge(ticket, EVENT);
  assert.deepEqual([again.result, again.use?.gate], ["used", "North"]);
  list.forget(ticket);
  assert.equal(list.judge(code, EVENT).result, "admitted");
});

test("what the list says was used is used", async () => {
  const ticket = await read(await sign(1));
  const used = [{ ticket: ticket.hash, gate: "South", scannedAt: "2026-06-12T19:30:00Z" }];
  const list = new GateList(joined([{ ...listOf([ticket.hash], [""]), used }]));
  assert.equal(list.judge(ticket, EVENT).result, "used");
});
