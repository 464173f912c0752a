// @ts-check
// The waiting part: the fan's place over a stream, or by asking while the stream is away.
import { call, Problem } from "../api.js";
import { countDown } from "../counting-down.js";
import { $, setProgress, setText } from "../dom.js";
import { hasSession } from "../session.js";
import { SharedStream } from "../shared-stream.js";
import { reloadSpread } from "./page.js";
import { count, t } from "../text.js";
import { paceWords, waitWords } from "../wait-words.js";
import { returnWords } from "../words.js";

/** @import { InitialCall } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { News, Stage, State } from "./state.js" */

const LOOK_MS = 5000; // between two looks whether the stream has fallen silent
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
    this.stopCounting = () => {};
    for (const form of document.querySelectorAll("[data-leave]")) {
      form.addEventListener("submit", (submit) => {
        submit.preventDefault();
        this.leave();
      });
    }
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    // Where tabs cannot share their streams, a second one in each would leave no connection for a booking.
    const chooses = state.choosing && state.turnEndsAt !== null && this.context.tabs.channel !== null;
    if (state.stage === "lobby" || state.stage === "waiting" || chooses) this.listen();
    else this.stopListening(state.stage); // Called too: over HTTP/1.1 the claim may need the stream's connection.
    if (state.stage === "waiting" && state.place && state.place !== before.place) {
      this.draw(state, state.place);
      if (before.lobby && !before.place?.position) this.reveal(state.place, before.lobby.participants);
    }
    if (state.fall !== before.fall || state.stage !== before.stage) this.count(state);
    if (state.stage === "sold_out") this.watchForReturns();
  }

  /** Count the shown number down until the next news. @param {State} state */
  count({ stage, place, fall }) {
    this.stopCounting();
    if (stage !== "waiting" || !fall || typeof place?.position !== "number") return;
    const { store } = this.context;
    this.stopCounting = countDown(place.position, fall, (position) => store.dispatch({ type: "counted", position }));
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
        place: (news) => news.state === "left" ? this.findAgain() : tell({ state: "waiting", ...news }),
        /** @param {News} news */
        message: (news) => store.dispatch({ type: "message", text: news.message ?? "", texts: news.messages }),
        /** @param {News} news @param {boolean} passedOn */
        called: (news, passedOn) => tell({ ...news, state: "called" }, passedOn),
        /** @param {News} news */
        admitted: (news) => tell({ ...news, state: "admitted" }),
        sold_out: () => tell({ state: "sold_out" }),
        /** @param {{reason?: string}} news */
        closed: ({ reason }) => {
          tell({ state: "closed" });
          // The sale is over, or the event was withdrawn: the page says so in the fan's language.
          if (reason) reloadSpread();
        },
        bye: () => {},
      },
      () => page.connection.draw(),
    );
    page.connection.add("line", this.stream);
    this.timer = setInterval(() => {
      if (!this.stream || (document.hidden && !this.stream.leads)) return;
      if (!this.stream.connected && Date.now() - this.stream.heardAt > AWAY_MS) this.context.ask();
    }, LOOK_MS);
  }

  /** The place was given up, or another tab took it into the session that this browser has now. */
  async findAgain() {
    await this.context.ask();
    this.stream?.open();
  }

  /** @param {Stage} stage */
  stopListening(stage) {
    this.stream?.close();
    this.stream = null;
    clearInterval(this.timer);
    this.context.page.connection.remove("line");
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
    const { classWaiting, position } = news;
    const all = Math.max(classWaiting ?? 0, position ?? 0);
    setText(
      $("place-label"),
      state.priority && typeof position === "number"
        ? t("Priority line: {n} of {all}", { n: count(position), all: count(all) })
        : t("Your place in line"),
    );
    if (typeof position === "number") $("behind").textContent = count(all - position);
    const pace = paceWords(news, paused, Boolean(allHeld));
    if (pace) $("rate").textContent = pace;
    if (news.stock) this.context.stock.follow(news.stock);
    const words = typeof position === "number" ? t("Place {n} in line. {wait}", { n: count(position), wait }) : wait;
    this.context.page.announce(words, ANNOUNCE_MS);
  }

  /** The draw has given the fan a place: the number comes up, is said, and is heard where the fan asked for alerts. @param {News} news @param {number} participants */
  reveal({ position }, participants) {
    if (typeof position !== "number") return;
    const words = t("You were drawn: place {n} of {all}.", { n: count(position), all: count(participants) });
    $("drawn").hidden = false;
    $("drawn").textContent = words;
    $("position").classList.add("drawn");
    this.context.alert.ringOnce();
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
    element.classList.remove("moved", "drawn");
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
      if (hasSession()) ask();
      else this.askRoom();
    }, least + (most - least) * Math.random());
  }

  /** A stranger asks what everybody is told, which a cache can answer. */
  async askRoom() {
    const { event, store } = this.context;
    try {
      /** @type {InitialCall} */
      const { room } = await call("GET", `/api/initial-call/${event.eventId}`);
      if (room.state !== "sold_out") store.dispatch({ type: "noPlace", stage: "join" });
    } catch (error) {
      // The next look may find it.
      if (!(error instanceof Problem)) throw error;
    }
  }

  async leave() {
    const { page, queue, store } = this.context;
    const { stage } = store.state;
    const inLobby = stage === "lobby";
    this.stopListening(stage);
    try {
      await call("DELETE", queue, { headers: store.headers });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 404) {
        this.listen();
        return page.say(
          inLobby ? t("No connection: you are still in the lobby.") : t("No connection: you are still in line."),
        );
      }
    }
    this.context.tell({ type: "left" });
    page.say(inLobby ? t("You left the lobby.") : t("You left the line."), "good");
  }
}
