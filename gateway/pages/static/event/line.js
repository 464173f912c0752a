// @ts-check
// The waiting part: the fan's place over a stream, or by asking while the stream is away.
import { call, Problem } from "../api.js";
import { $, setProgress, setText } from "../dom.js";
import { SharedStream } from "../shared-stream.js";
import { count, eta, returnWords } from "../words.js";

/** @import { Context } from "./main.js" */
/** @import { News, Stage, State } from "./state.js" */

const LOOK_MS = 5000; // between two looks whether the stream has fallen silent
const SILENT_MS = 45_000; // A connected stream is silent for longer only if it is dead.
const AWAY_MS = 8000; // without a stream the fan's place is asked for this often
const ANNOUNCE_MS = 20_000;
const SOLD_OUT_MS = [45_000, 75_000]; // between two looks whether seats have come back: within the server's REOPEN_MS

export class Line {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    /** @type {SharedStream | null} */
    this.stream = null;
    this.timer = 0;
    this.soldOutTimer = 0;
    for (const form of document.querySelectorAll("[data-leave]")) {
      form.addEventListener("submit", (submit) => {
        submit.preventDefault();
        this.leave();
      });
    }
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.stage === "lobby" || state.stage === "waiting") this.listen();
    else this.stopListening(state.stage); // Called too: over HTTP/1.1 the claim may need the stream's connection.
    if (state.stage === "waiting" && state.place && state.place !== before.place) this.draw(state, state.place);
    if (state.stage === "sold_out") this.watchForReturns();
  }

  listen() {
    if (this.stream) return;
    const { queue, store, page, tabs } = this.context;
    /** @param {News} news @param {boolean} [passedOn] */
    const tell = (news, passedOn) => store.dispatch({ type: "news", news, passedOn });
    this.stream = new SharedStream(
      tabs,
      "line",
      () => {
        const { token } = store.state;
        return `${queue}/stream${token ? `?token=${encodeURIComponent(token)}` : ""}`;
      },
      {
        /** @param {News} news */
        place: (news) => tell({ state: "waiting", ...news }),
        /** @param {News} news */
        message: (news) => store.dispatch({ type: "message", text: news.message ?? "" }),
        /** @param {News} news @param {boolean} passedOn */
        called: (news, passedOn) => tell({ ...news, state: "called" }, passedOn),
        /** @param {News} news */
        admitted: (news) => tell({ ...news, state: "admitted" }),
        sold_out: () => tell({ state: "sold_out" }),
        closed: () => tell({ state: "closed" }),
        bye: () => {},
      },
      (connected) => page.showConnection(connected),
    );
    page.streams.set("line", true);
    this.timer = setInterval(() => {
      if (!this.stream || (document.hidden && !this.stream.leads)) return;
      const silentMs = Date.now() - this.stream.heardAt;
      if (silentMs > (this.stream.connected ? SILENT_MS : AWAY_MS)) this.context.ask();
    }, LOOK_MS);
  }

  /** @param {Stage} stage */
  stopListening(stage) {
    this.stream?.close();
    this.stream = null;
    clearInterval(this.timer);
    this.context.page.streams.set("line", false);
    if (stage !== "choose") this.context.page.hideConnection();
  }

  /** @param {State} state @param {News} news */
  draw(state, news) {
    const paused = state.roomState === "paused";
    // With every free seat in somebody's hands nobody is called until one comes back.
    const allHeld = news.stock && news.stock.free <= 0 && news.stock.held > 0 ? news.stock : null;
    $("paused").hidden = !paused;
    this.drawPosition(state, news.position);
    $("returning").hidden = !allHeld;
    if (allHeld) setText($("returning"), returnWords(allHeld));
    $("run-out").hidden = !news.mayRunOut || Boolean(allHeld);
    const wait = waitWords(news, paused, Boolean(allHeld));
    $("eta").textContent = wait;
    $("ahead").textContent = count(news.ahead);
    $("waiting").textContent = count(news.waiting);
    const pace = paceWords(news, paused, Boolean(allHeld));
    if (pace) $("rate").textContent = pace;
    if (news.stock) this.context.stock.showAll(news.stock);
    const { position } = news;
    const words = typeof position === "number" ? `Place ${count(position)} in line. ${wait}.` : wait;
    this.context.page.announce(words, ANNOUNCE_MS);
  }

  /** @param {State} state @param {number | null | undefined} position */
  drawPosition(state, position) {
    const element = $("position");
    if (typeof position !== "number") {
      element.textContent = "–";
      return;
    }
    setProgress("progress", state.progress);
    const text = count(position);
    if (element.textContent === text) return;
    element.textContent = text;
    element.classList.remove("moved");
    void element.offsetWidth; // Lays the page out, so that the class counts as new and its animation runs again.
    element.classList.add("moved");
  }

  /** The line has ended and lets its fans go. Seats that are given back open it again for the fans still here, in order. */
  watchForReturns() {
    if (this.soldOutTimer) return;
    const { ask, stock, store } = this.context;
    stock.showTypes(() => ({ available: 0, held: 0 }));
    const [least, most] = SOLD_OUT_MS;
    this.soldOutTimer = setTimeout(() => {
      this.soldOutTimer = 0;
      if (store.state.stage !== "sold_out") return;
      this.watchForReturns();
      ask();
    }, least + (most - least) * Math.random());
  }

  async leave() {
    const { page, queue, store } = this.context;
    const { stage } = store.state;
    const left = stage === "lobby" ? "lobby" : "line";
    this.stopListening(stage);
    try {
      await call("DELETE", queue, { headers: store.headers });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 404) {
        this.listen();
        return page.say(`We could not reach the server, so you are still in the ${left}.`);
      }
    }
    this.context.tell({ type: "left" });
    page.say(`You left the ${left}.`, "good");
  }
}

/** @param {News} news @param {boolean} paused @param {boolean} allHeld */
function waitWords(news, paused, allHeld) {
  if (paused) return "The line is paused. Your place is kept.";
  if (news.lobby) return "The lobby’s places are being drawn. Yours comes after them.";
  if (news.ratePerMinute === 0) return "Nobody is let in just now. Your place is kept.";
  if (allHeld) return "No seat is free just now. Your place is kept.";
  if (news.position === 1) return "You are next";
  return eta(news.etaSeconds, news.etaRange);
}

/**
 * How fast the line moves, as the estimate has it: the rate that operators ask for may be far above what comes to pass.
 * @param {News} news @param {boolean} paused @param {boolean} allHeld
 * @returns {string} empty where the news does not say
 */
function paceWords(news, paused, allHeld) {
  const pace = news.ratePerMinute === 0 ? 0 : news.linePerMinute;
  if (pace === undefined) return "";
  if (paused) return "paused";
  if (allHeld || pace === null) return "–";
  return pace > 0 && pace < 1 ? "< 1/min" : `${count(Math.round(pace))}/min`;
}
