// @ts-check
// A banner that a shop puts into its own pages: the fan joins the line there, reads the place, is told of the turn, and
// leaves the line again.
// It works below the path by which the shop's host hands our pages on, because only there a browser sends our cookies.
// Loaded from our own host it is no more than a link to the waiting page.
import { countDown, fallOf, lowest } from "./counting-down.js";
import { count, t } from "./text.js";
import { waitWords } from "./wait-words.js";

/** @import { Place } from "../contract.d.ts" */

const AGAIN_MS = 10_000; // after a connection that the server refused
const NO_PLACE = ["none", "expired", "left", "done"];
const STYLE = [
  ":host { all: initial; position: fixed; inset: auto 0 0 0; z-index: 2147483000; display: block; }",
  ":host([hidden]) { display: none; }",
  "section { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: center; padding: .75rem 1rem;",
  "font: 600 1rem/1.4 system-ui, sans-serif; color: #fff; background: #1c1b22; border-top: 1px solid #fff3; }",
  "p { margin: 0; }",
  "button, a { font: inherit; color: #1c1b22; background: #fff; border: 0; border-radius: .5rem; padding: .6rem 1rem;",
  "min-height: 44px; box-sizing: border-box; text-decoration: none; cursor: pointer; }",
  "button:focus-visible, a:focus-visible { outline: 3px solid #ffb224; outline-offset: 2px; }",
  "button.quiet { color: #fff; background: none; border: 1px solid #fff9; }",
  "[role=group] { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: center; }",
  "[hidden] { display: none; }",
].join(" ");

class Banner {
  /** @param {HTMLScriptElement} script */
  constructor(script) {
    const address = new URL(script.src);
    const room = Number(script.dataset.room);
    const root = address.origin + address.pathname.replace(/\/wait\/widget\.js$/, "");
    this.queue = `${root}/api/queue/${room}`;
    this.session = `${root}/api/session`;
    this.page = `${root}/wait/${room}`;
    /** @type {EventSource | null} */
    this.stream = null;
    /** Its position is the number that is shown. @type {Partial<Place>} */
    this.place = {};
    this.said = 0; // the position as the server said it
    this.stopCounting = () => {};

    this.host = document.createElement("div");
    this.host.dir = "auto";
    this.host.hidden = true;
    const shadow = this.host.attachShadow({ mode: "open" });
    // A style sheet that a script makes is allowed where a shop's policy forbids styles in the page.
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [style];
    const box = document.createElement("section");
    box.setAttribute("aria-label", t("Your place in line"));
    this.words = document.createElement("p");
    this.words.setAttribute("role", "status");
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.textContent = t("Join the line");
    this.button.addEventListener("click", () => this.join());
    this.link = document.createElement("a");
    this.leaveButton = this.quietButton("", () => this.place.state === "lobby" ? this.leave() : this.question(true));
    this.asking = document.createElement("div");
    this.asking.setAttribute("role", "group");
    this.asking.setAttribute("aria-labelledby", "question");
    this.asking.hidden = true;
    const question = document.createElement("p");
    question.id = "question";
    question.textContent = t("Leave the line? You lose your place for good.");
    this.keepButton = this.quietButton(t("Keep my place"), () => this.question(false));
    const leave = this.quietButton(t("Leave the line"), () => this.leave());
    this.asking.append(question, this.keepButton, leave);
    this.asking.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.question(false);
    });
    box.append(this.words, this.button, this.link, this.leaveButton, this.asking);
    shadow.append(box);
    document.body.append(this.host);

    if (address.origin === location.origin) this.ask();
    else this.show("", { link: t("Join the line") });
  }

  /** @param {string} words @param {() => void} act */
  quietButton(words, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = words;
    button.addEventListener("click", act);
    return button;
  }

  /**
   * @param {string} words
   * @param {{link?: string, joins?: boolean, leave?: string}} [way] what the fan can do: follow a link, join, or leave here
   */
  show(words, { link = "", joins = false, leave = "" } = {}) {
    if (this.words.textContent !== words) this.words.textContent = words;
    if (!leave) this.asking.hidden = true;
    this.leaveButton.textContent = leave;
    this.leaveButton.hidden = !leave || !this.asking.hidden;
    this.button.hidden = !joins;
    this.link.hidden = !link || !this.asking.hidden;
    this.link.textContent = link;
    this.link.href = this.waitingPage;
    this.host.hidden = false;
  }

  get waitingPage() {
    return `${this.page}?to=${encodeURIComponent(location.href)}`;
  }

  async ask() {
    try {
      const answer = await fetch(this.queue, { headers: { Accept: "application/json" }, cache: "no-store" });
      // Without a session, or without a place: both are how a fan comes who has not joined.
      if (answer.status === 401 || answer.status === 404) this.show("", { joins: true });
      else if (answer.ok) this.hear(await answer.json());
      else this.host.hidden = true;
    } catch {
      this.host.hidden = true;
    }
  }

  async join() {
    this.button.disabled = true;
    try {
      let answer = await this.post(this.queue);
      if (answer.status === 401 && (await this.post(this.session)).ok) answer = await this.post(this.queue);
      // What else it may take, a proof to be a person for one, the waiting page knows.
      if (!answer.ok) return location.assign(this.waitingPage);
      /** @type {Place} */
      const place = await answer.json();
      if (place.state === "admitted") return location.assign(this.waitingPage);
      this.hear(place);
    } catch {
      location.assign(this.waitingPage);
    } finally {
      this.button.disabled = false;
    }
  }

  /** Ask whether the fan means it, or go back to the place. @param {boolean} isOpen */
  question(isOpen) {
    this.asking.hidden = !isOpen;
    this.draw({});
    (isOpen ? this.keepButton : this.leaveButton).focus();
  }

  async leave() {
    try {
      const answer = await fetch(this.queue, { method: "DELETE", headers: { Accept: "application/json" } });
      // No place to leave is what the fan wanted.
      if (!answer.ok && answer.status !== 404) throw answer;
    } catch {
      return location.assign(this.waitingPage);
    }
    const words = this.place.state === "lobby" ? t("You left the lobby.") : t("You left the line.");
    this.close();
    this.place = {};
    this.said = 0;
    this.show(words, { joins: true });
    this.button.focus();
  }

  /** @param {string} address */
  post(address) {
    return fetch(address, {
      method: "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json" },
      body: "{}",
    });
  }

  /** @param {Partial<Place> & {fallsTo?: number, fallsInSeconds?: number}} news what changed since the last news */
  hear(news) {
    this.stopCounting();
    const { position } = news;
    if (typeof position !== "number") return this.draw(news);
    const number = lowest(this.said, this.place.position ?? position, position);
    this.said = position;
    this.draw({ ...news, position: number });
    const fall = fallOf(news);
    if (fall) this.stopCounting = countDown(number, fall, (counted) => this.draw({ position: counted }));
  }

  /** @param {Partial<Place>} news what changed since the last news */
  draw(news) {
    this.place = { ...this.place, ...news };
    const { position, roomState, state = "none" } = this.place;
    // The waiting page is where a fan is alerted, or takes the place to another device.
    const toPage = { link: t("Your place in line"), leave: t("Leave the line") };
    if (roomState === "off" || state === "admitted") {
      this.host.hidden = true;
      return this.close();
    }
    if (state === "called") this.show(t("It’s your turn!"), { link: t("Go in now") });
    else if (state === "closed") this.show(t("The line is closed"));
    else if (state === "lobby") {
      this.show(t("You are registered. When the sale opens, everyone gets a random place in line."), {
        ...toPage,
        leave: t("Leave the lobby"),
      });
    } else if (NO_PLACE.includes(state)) {
      this.show(state === "expired" ? t("Your turn has passed") : "", { joins: true });
      return this.close();
    } else {
      const wait = waitWords(this.place, roomState === "paused", false);
      const words = typeof position === "number" ? t("Place {n} in line. {wait}", { n: count(position), wait }) : wait;
      this.show(words, toPage);
    }
    this.listen();
  }

  close() {
    this.stopCounting();
    this.stream?.close();
    this.stream = null;
  }

  /** An open stream is also what keeps the place. */
  listen() {
    if (this.stream) return;
    const stream = this.stream = new EventSource(`${this.queue}/stream`);
    /** @param {string} name @param {(news: Partial<Place>) => Partial<Place>} [read] */
    const on = (name, read = (news) => news) =>
      stream.addEventListener(
        name,
        (message) => this.hear(read(JSON.parse(/** @type {MessageEvent} */ (message).data || "{}"))),
      );
    on("place", (news) => ({ state: "waiting", ...news }));
    on("called", () => ({ state: "called" }));
    on("admitted", () => ({ state: "admitted" }));
    on("closed", () => ({ state: "closed" }));
    stream.addEventListener("error", () => {
      // The browser gives up where the server refuses: the place may be gone.
      if (this.stream !== stream || stream.readyState !== EventSource.CLOSED) return;
      this.stream = null;
      setTimeout(() => this.ask(), AGAIN_MS);
    });
  }
}

const script = document.currentScript;
if (script instanceof HTMLScriptElement && Number(script.dataset.room) > 0) {
  if (document.body) new Banner(script);
  else addEventListener("DOMContentLoaded", () => new Banner(script), { once: true });
}
