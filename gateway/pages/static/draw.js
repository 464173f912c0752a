// @ts-check
// Recomputes a draw in the browser: its seal, the order of all fans, and the place of this one.
import { call, Problem } from "./api.js";
import { $, inputOf, make, readData, setProgress } from "./dom.js";
import { count, t, tn } from "./text.js";
import { problemWords } from "./words.js";

/** @import { DrawAnswer, DrawList, DrawProof, Receipt } from "../contract.d.ts" */

const HASHED_AT_ONCE = 2000;
/** @type {{eventId: number}} */
const { eventId } = readData("draw-data");
const field = inputOf("fan-hash");

/** @param {string} hex */
const bytes = (hex) => new Uint8Array((hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
/** @param {ArrayBuffer} buffer */
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {boolean} good @param {string} text */
function found(good, text) {
  $("findings").append(make("li", `${good ? "✓" : "✗"} ${text}`, good ? "is-good" : "is-bad"));
}

/** @returns {Promise<Receipt | null>} null for a stranger to this event */
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
    /** @type {DrawList} */
    const page = await call("GET", `/api/events/${eventId}/draw/list?first=${first}`, { patience: 60 });
    all.push(...page.fanHashes);
    first = page.next ?? 0;
  }
  return all;
}

/**
 * @param {DrawAnswer} draw @param {string} seed @param {string} mine the fan's hash; empty: nobody's
 * @param {DrawProof | null | undefined} own the fan's part as the receipt tells it
 */
async function recheck(draw, seed, mine, own) {
  const seal = hex(await crypto.subtle.digest("SHA-256", bytes(seed)));
  found(seal === draw.seedHash, t("The secret number is the one that was sealed before the lobby opened."));
  const key = await crypto.subtle.importKey("raw", bytes(seed), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
  ]);
  /** @param {string} fan */
  const value = async (fan) => hex(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(fan)));
  const fans = await list();
  /** @type {[string, string][]} */
  const drawn = [];
  $("recheck-progress").hidden = false;
  for (let start = 0; start < fans.length; start += HASHED_AT_ONCE) {
    const part = fans.slice(start, start + HASHED_AT_ONCE);
    const values = await Promise.all(part.map(value));
    values.forEach((one, i) => drawn.push([one, part[i]]));
    setProgress("recheck-progress", (1000 * drawn.length) / fans.length);
  }
  $("recheck-progress").hidden = true;
  found(
    fans.length === draw.participants && new Set(fans).size === fans.length,
    tn("{n} fan took part, each once.", "{n} fans took part, each once.", fans.length),
  );
  const ordered = drawn.every((one, i) =>
    i === 0 || drawn[i - 1][0] < one[0] || (drawn[i - 1][0] === one[0] && drawn[i - 1][1] < one[1])
  );
  found(ordered, t("Everyone is in the order that the secret number gives."));
  if (!mine) return;
  const place = fans.indexOf(mine) + 1;
  if (!place) {
    return found(false, t("This number is not in the list: its fan was not in the lobby when the sale opened."));
  }
  if (own?.fanHash === mine) {
    const same = own.number === place && own.drawValue === drawn[place - 1][0];
    found(same, t("Your own record says the same: place {n}.", { n: count(own.number ?? 0) }));
  }
  found(true, t("This fan’s place is {n} of {all}.", { n: count(place), all: count(fans.length) }));
}

$("recheck").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  $("findings").replaceChildren();
  const button = /** @type {HTMLButtonElement} */ ($("recheck").querySelector("button"));
  button.disabled = true;
  try {
    if (!globalThis.crypto?.subtle) {
      return found(false, t("This browser can check the draw on secure (https) pages only."));
    }
    /** @type {Promise<DrawAnswer>} */
    const asked = call("GET", `/api/events/${eventId}/draw`);
    const [draw, own] = await Promise.all([asked, receipt()]);
    if (!draw.seed) return found(false, t("The draw has not happened yet."));
    await recheck(draw, draw.seed, field.value.trim().toLowerCase(), own?.draw);
  } catch (error) {
    found(false, error instanceof Problem ? problemWords(error) : String(error));
  } finally {
    button.disabled = false;
  }
});

receipt().then((own) => {
  if (own?.draw && !field.value && (own.draw.number || own.draw.state !== "drawn")) field.value = own.draw.fanHash;
});
