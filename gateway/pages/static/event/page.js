// @ts-check
// The frame of the event's page: which part is shown, messages, the connection, words for screen readers.
import { $, setText } from "../dom.js";

/** @import { State } from "./state.js" */

const RECONNECTING_MS = 3000; // A stream that comes back sooner is not worth a word.

export class Page {
  constructor() {
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.announcedAt = 0;
    this.connectionTimer = 0;
    /** Whether a stream is open, by its owner. @type {Map<string, boolean>} */
    this.streams = new Map();
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    const { stage } = state;
    for (const part of document.querySelectorAll(".stage")) {
      part.toggleAttribute("hidden", part.getAttribute("data-stage") !== stage);
    }
    $("selection").hidden = stage !== "choose";
    document.body.classList.toggle("choosing", stage === "choose");
    if (state.message !== before.message) this.showMessage(state.message);
    if (stage !== before.stage) window.scrollTo({ top: 0, behavior: this.calm.matches ? "auto" : "smooth" });
  }

  /** @param {string} text the organiser's words to the line; empty: none */
  showMessage(text) {
    setText(this.messageBox, text);
    $("line-message").hidden = !text;
  }

  get messageBox() {
    return /** @type {HTMLElement} */ ($("line-message").querySelector("span"));
  }

  /** @param {string} text @param {"bad" | "good"} [tone] */
  say(text, tone = "bad") {
    const box = $("message");
    box.textContent = text;
    box.className = `message ${tone}`;
    box.hidden = !text;
  }

  hush() {
    this.say("");
  }

  /** Tell a screen reader. @param {string} text @param {number} [everyMs] at most so often, so that it can be listened to */
  announce(text, everyMs = 0) {
    if (Date.now() - this.announcedAt < everyMs) return;
    this.announcedAt = Date.now();
    $("announcer").textContent = text;
  }

  /** @param {boolean} connected */
  showConnection(connected) {
    clearTimeout(this.connectionTimer);
    const show = () => {
      const box = $("connection");
      box.hidden = ![...this.streams.values()].some(Boolean);
      box.textContent = connected ? "Live" : "Reconnecting…";
      box.classList.toggle("is-lost", !connected);
    };
    this.connectionTimer = setTimeout(show, connected ? 0 : RECONNECTING_MS);
  }

  hideConnection() {
    $("connection").hidden = true;
  }
}

/**
 * Do some work while its button shows that it is under way.
 * @param {HTMLButtonElement} button @param {string} words on the button meanwhile @param {() => Promise<void>} work
 */
export async function busy(button, words, work) {
  const before = button.textContent;
  button.disabled = true;
  button.textContent = words;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
    if (button.textContent === words) button.textContent = before;
    button.disabled = false;
  }
}
