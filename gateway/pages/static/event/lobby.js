// @ts-check
// The time before the draw: until the lobby opens, and in it, by the server's clock.
import { now } from "../api.js";
import { $, setProgress } from "../dom.js";
import { reloadSpread } from "./page.js";
import { count, t } from "../text.js";
import { countdown } from "../words.js";

/** @import { Lobby as LobbyNews } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { State } from "./state.js" */

const TICK_MS = 250;
const EARLY_TICK_MS = 500;
const OPENED_MS = 1000; // after it opened by the server's clock, the page loads anew
const ANNOUNCE_MS = 30_000;
const CLOCK_MAX = 5; // characters that are shown as large as a place

export class Lobby {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.due = 0;
    this.timer = 0;
    this.earlyTimer = 0;
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.stage === "lobby" && state.lobby && state.lobby !== before.lobby) this.draw(state.lobby);
    if (state.stage !== "lobby") {
      clearInterval(this.timer);
      this.timer = 0;
    }
    if (state.stage === "early") this.awaitOpening(Date.parse(state.opensAt));
  }

  /** @param {LobbyNews} lobby */
  draw({ state, secondsToOnSale, participants, drawn, seedHash, fanHash }) {
    this.due = performance.now() + 1000 * secondsToOnSale;
    const drawing = state === "drawing";
    $("lobby-fans").textContent = count(participants);
    $("lobby-seal").textContent = seedHash;
    if (fanHash) $("lobby-me").textContent = fanHash;
    $("lobby-progress").hidden = !drawing;
    setProgress("lobby-progress", (1000 * drawn) / Math.max(1, participants));
    $("lobby-label").textContent = drawing ? t("The sale is open") : t("The sale opens in");
    $("lobby-words").textContent = drawing
      ? t("The places are being drawn: {n} of {all}.", { n: count(drawn), all: count(participants) })
      : t("You are registered. When the sale opens, everyone gets a random place in line.");
    if (!this.timer) this.timer = setInterval(() => this.tick(), TICK_MS);
    this.tick();
  }

  tick() {
    const { page, tab } = this.context;
    const leftMs = this.due - performance.now();
    const text = leftMs > 0 ? countdown(leftMs) : t("Drawing…");
    if ($("lobby-left").textContent === text) return;
    $("lobby-left").textContent = text;
    $("lobby-left").classList.toggle("words", text.length > CLOCK_MAX);
    if (leftMs > 0) {
      tab.put(t("Lobby: {time}", { time: text }));
      page.announce(t("In the lobby. The sale opens in {time}.", { time: text }), ANNOUNCE_MS);
    } else {
      tab.put(t("Drawing places"));
      page.announce(t("The sale is open. Places are being drawn."));
    }
  }

  /** The lobby, or the sale of an event without one, is yet to open: the page loads anew when it does. @param {number} opensAtMs */
  awaitOpening(opensAtMs) {
    clearInterval(this.earlyTimer);
    const tick = () => {
      const leftMs = opensAtMs - now();
      this.context.tab.put(t("Opens in {time}", { time: countdown(leftMs) }));
      $("early-left").textContent = t("Opens in {time}. You can close this page and come back.", {
        time: countdown(leftMs),
      });
      if (leftMs > -OPENED_MS) return;
      clearInterval(this.earlyTimer);
      const { alert, event } = this.context;
      alert.ring(event.lobby ? t("The lobby is open") : t("The sale is open"), event.name);
      reloadSpread();
    };
    this.earlyTimer = setInterval(tick, EARLY_TICK_MS);
    tick();
  }
}
