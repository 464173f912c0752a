// @ts-check
// The fan's waiting list: the time left of an offer, and the page anew when something has changed.
import { book, call, newKey, now, Problem } from "./api.js";
import { Captcha } from "./captcha.js";
import { $, readData } from "./dom.js";
import { beginSessions } from "./session.js";
import { clock, problemWords } from "./words.js";

/** @import { WaitingEntryAnswer } from "../contract.d.ts" */

const TICK_MS = 500;
const LOOK_MS = 10_000;
/** @type {{eventId: number, state: string | null, offerEndsAt: string | null, own: boolean}} */
const { eventId, state, offerEndsAt, own } = readData("waiting-data");
beginSessions(own);
const path = `/api/events/${eventId}/waiting-list`;

if (offerEndsAt) {
  const ends = Date.parse(offerEndsAt);
  setInterval(() => ($("offer-left").textContent = clock(Math.max(0, ends - now()))), TICK_MS);
}

async function look() {
  if (document.hidden) return;
  try {
    /** @type {WaitingEntryAnswer} */
    const entry = await call("GET", path);
    if (entry.state !== state) location.reload();
  } catch (error) {
    // The next look may find it.
    if (!(error instanceof Problem)) throw error;
  }
}
if (state === "waiting" || state === "offered") setInterval(look, LOOK_MS);

/** @param {string} words */
function say(words) {
  $("message").textContent = words;
  $("message").hidden = !words;
}

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("enter"));
form?.addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const fields = new FormData(form);
  const body = { ticketTypeId: Number(fields.get("ticketTypeId")), quantity: Number(fields.get("quantity")) };
  const captcha = new Captcha($("captcha-box"), $("captcha-box").dataset.worker ?? "", () => {}, eventId);
  /** @param {string} [token] */
  const enter = (token) =>
    book("POST", path, { body, key: newKey(), headers: token ? { "X-Captcha-Token": token } : {}, onWait: () => {} });
  try {
    say("");
    await enter().catch(async (error) => {
      if (!(error instanceof Problem) || error.code !== "captcha_required") throw error;
      await enter(await captcha.token("reserve", true));
    });
    location.reload();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(problemWords(error));
  }
});
