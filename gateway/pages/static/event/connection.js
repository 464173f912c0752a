// @ts-check
// The truth about the connection: whether the server was heard of lately, said at the top of the page. While it was not,
// what the page shows may be old, and looks so.
import { $, setText } from "../dom.js";
import { t, tn } from "../text.js";

const RECONNECTING_MS = 3000; // A stream that comes back sooner is not worth a word.
const TICK_MS = 1000;

/** What a stream knows of itself. @typedef {{connected: boolean, heardAt: number}} Heard heardAt in ms of this computer's clock */

export class Connection {
  constructor() {
    /** The streams that are open, by their owners. @type {Map<string, Heard>} */
    this.streams = new Map();
    this.lostAt = 0;
    this.wasLost = false;
    this.timer = 0;
    addEventListener("offline", () => this.draw());
    addEventListener("online", () => this.draw());
  }

  /** @param {string} owner @param {Heard} stream */
  add(owner, stream) {
    this.streams.set(owner, stream);
    this.draw();
  }

  /** @param {string} owner */
  remove(owner) {
    this.streams.delete(owner);
    this.draw();
  }

  /** A stream was found, or lost: say so now, and from then on as long as it lasts. */
  draw() {
    const streams = [...this.streams.values()];
    const lost = streams.filter((stream) => !stream.connected);
    const offline = navigator.onLine === false;
    if (!lost.length && !offline) this.lostAt = 0;
    else this.lostAt ||= Date.now();
    const heardAt = Math.max(0, ...streams.map((stream) => stream.heardAt));
    const silentMs = Date.now() - heardAt;
    const said = offline ||
      (lost.length > 0 && (Date.now() - this.lostAt > RECONNECTING_MS || silentMs > RECONNECTING_MS));
    const box = $("connection");
    box.hidden = !streams.length || !(box.textContent || said || !lost.length);
    // A stream that is just being opened, or opened anew, leaves what was said before.
    if (said || !lost.length) {
      setText(box, offline ? t("You are offline. Your place is kept.") : said ? lostWords(silentMs) : t("Live"));
      // The seconds run on for the eye; a screen reader hears once that it was lost, and once that it is back.
      if (box.classList.toggle("is-lost", said) !== this.wasLost) $("announcer").textContent = box.textContent;
      this.wasLost = said;
      document.body.classList.toggle("is-stale", said && streams.length > 0);
    }
    clearTimeout(this.timer);
    if (this.lostAt && streams.length) this.timer = setTimeout(() => this.draw(), TICK_MS);
  }
}

/** @param {number} silentMs */
function lostWords(silentMs) {
  const seconds = Math.round(silentMs / 1000);
  if (seconds < 120) {
    return tn("Reconnecting, last heard {n} second ago", "Reconnecting, last heard {n} seconds ago", seconds);
  }
  const minutes = Math.floor(seconds / 60);
  return tn("Reconnecting, last heard {n} minute ago", "Reconnecting, last heard {n} minutes ago", minutes);
}
