// @ts-check
// The time before the draw: until the lobby opens, and in it, by the server's clock.
import { now } from "../api.js";
import { $, setProgress } from "../dom.js";
import { count, countdown } from "../words.js";

/** @import { Lobby as LobbyNews } from "../../contract.d.ts" */
/** @import { Context } from "./main.js" */
/** @import { State } from "./state.js" */

const TICK_MS = 250;
const EARLY_TICK_MS = 500;
const OPENED_MS = 1000; // after the lobby opened by the server's clock, the page loads anew
const RELOAD_SPREAD_MS = 3000; // Every page that waited reloads then, so they spread out.
const ANNOUNCE_MS = 30_000;

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
    if (state.stage === "early" && state.lobbyOpensAt) this.awaitOpening(Date.parse(state.lobbyOpensAt));
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
    $("lobby-label").textContent = drawing ? "The sale is open" : "The sale opens in";
    $("lobby-words").textContent = drawing
      ? `The places are being drawn: ${count(drawn)} of ${count(participants)}.`
      : "You are in. When it opens, everyone’s place is drawn.";
    if (!this.timer) this.timer = setInterval(() => this.tick(), TICK_MS);
    this.tick();
  }

  tick() {
    const { page, tab } = this.context;
    const leftMs = this.due - performance.now();
    const text = leftMs > 0 ? countdown(leftMs) : "Drawing…";
    if ($("lobby-left").textContent === text) return;
    $("lobby-left").textContent = text;
    if (leftMs > 0) {
      tab.put(`Lobby: ${text}`);
      page.announce(`In the lobby. The sale opens in ${text}.`, ANNOUNCE_MS);
    } else {
      tab.put("Drawing places");
      page.announce("The sale is open. Places are being drawn.");
    }
  }

  /** The lobby is yet to open: the page loads anew when it does. @param {number} opensAtMs */
  awaitOpening(opensAtMs) {
    clearInterval(this.earlyTimer);
    const tick = () => {
      const leftMs = opensAtMs - now();
      $("early-left").textContent = `It opens in ${countdown(leftMs)}. Keep this page open.`;
      if (leftMs > -OPENED_MS) return;
      clearInterval(this.earlyTimer);
      setTimeout(() => location.reload(), RELOAD_SPREAD_MS * Math.random());
    };
    this.earlyTimer = setInterval(tick, EARLY_TICK_MS);
    tick();
  }
}
