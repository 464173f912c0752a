// @ts-check
// Recomputes a draw in the browser: the seal, one's own place, and everybody's order.
import { call, Problem } from "./api.js";
import { count } from "./words.js";

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const { eventId } = JSON.parse($("draw-data").textContent ?? "");
const field = /** @type {HTMLInputElement} */ ($("fan-hash"));
const AT_ONCE = 2000;

/** @param {string} hex */
const bytes = (hex) => new Uint8Array((hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
/** @param {ArrayBuffer} buffer */
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {boolean} good @param {string} text */
function found(good, text) {
  const line = document.createElement("li");
  line.className = good ? "is-good" : "is-bad";
  line.textContent = `${good ? "✓" : "✗"} ${text}`;
  $("findings").append(line);
}

async function receipt() {
  try {
    return await call("GET", `/api/queue/${eventId}/receipt`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return null;
  }
}

/** Everybody who took part, in the drawn order as published. @returns {Promise<string[]>} */
async function list() {
  /** @type {string[]} */
  const all = [];
  for (let first = 1; first;) {
    const page = await call("GET", `/api/events/${eventId}/draw/list?first=${first}`, { patience: 60 });
    all.push(...page.fanHashes);
    first = page.next ?? 0;
  }
  return all;
}

/** @param {any} draw @param {string} mine @param {any} own the fan's own part as the receipt tells it */
async function recheck(draw, mine, own) {
  const seal = hex(await crypto.subtle.digest("SHA-256", bytes(draw.seed)));
  found(seal === draw.seedHash, "The seed is the one that was sealed before the lobby opened.");
  const key = await crypto.subtle.importKey("raw", bytes(draw.seed), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
  ]);
  /** @param {string} fan */
  const value = async (fan) => hex(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(fan)));
  const fans = await list();
  /** @type {[string, string][]} */
  const drawn = [];
  $("recheck-progress").hidden = false;
  for (let start = 0; start < fans.length; start += AT_ONCE) {
    const part = fans.slice(start, start + AT_ONCE);
    const values = await Promise.all(part.map(value));
    values.forEach((one, i) => drawn.push([one, part[i]]));
    $("recheck-progress").setAttribute("value", String(Math.round((1000 * drawn.length) / fans.length)));
  }
  $("recheck-progress").hidden = true;
  found(
    fans.length === draw.participants && new Set(fans).size === fans.length,
    `${count(fans.length)} fans took part, each once.`,
  );
  const ordered = drawn.every((one, i) =>
    i === 0 || drawn[i - 1][0] < one[0] || (drawn[i - 1][0] === one[0] && drawn[i - 1][1] < one[1])
  );
  found(ordered, "Everybody stands in the order that the seed gives.");
  if (!mine) return;
  const place = fans.indexOf(mine) + 1;
  if (!place) return found(false, "This hash is not in the list: its fan was not in the lobby when the sale opened.");
  const told = own?.fanHash === mine ? own : null;
  if (told) {
    found(
      told.number === place && told.drawValue === drawn[place - 1][0],
      `Your receipt says the same: place ${count(told.number)}.`,
    );
  }
  found(true, `Place ${count(place)} of ${count(fans.length)} is this fan’s.`);
}

$("recheck").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  $("findings").replaceChildren();
  const button = /** @type {HTMLButtonElement} */ ($("recheck").querySelector("button"));
  button.disabled = true;
  try {
    if (!globalThis.crypto?.subtle) return found(false, "This browser computes hashes on secure (https) pages only.");
    const [draw, own] = await Promise.all([call("GET", `/api/events/${eventId}/draw`), receipt()]);
    if (!draw.seed) return found(false, "The lobby is not drawn yet.");
    await recheck(draw, field.value.trim().toLowerCase(), own?.draw);
  } catch (error) {
    found(false, error instanceof Problem ? error.message : String(error));
  } finally {
    button.disabled = false;
  }
});

receipt().then((own) => {
  if (own?.draw && !field.value && (own.draw.number || own.draw.state !== "drawn")) field.value = own.draw.fanHash;
});
