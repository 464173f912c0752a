// @ts-check
// The frame of the event's page: which part is shown, messages, the connection, words for screen readers.
import { $, setText } from "../dom.js";
import { Connection } from "./connection.js";

/** @import { Texts } from "../../contract.d.ts" */
/** @import { State } from "./state.js" */

const RELOAD_SPREAD_MS = 3000;
const MENTION_MS = 6000;

/** Load the page anew for news that every page hears at the same moment: not all of them within the same second. */
export const reloadSpread = () => setTimeout(() => location.reload(), RELOAD_SPREAD_MS * Math.random());

export class Page {
  constructor() {
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.announcedAt = 0;
    this.connection = new Connection();
    this.mentionTimer = 0;
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    const { stage } = state;
    for (const part of document.querySelectorAll(".stage")) {
      part.toggleAttribute("hidden", part.getAttribute("data-stage") !== stage);
    }
    $("selection").hidden = stage !== "choose";
    document.body.classList.toggle("choosing", stage === "choose");
    if (state.message !== before.message || state.messages !== before.messages) this.showMessage(state);
    $("layout").dataset.now = stage;
    if (stage === before.stage) return;
    window.scrollTo({ top: 0, behavior: this.calm.matches ? "auto" : "smooth" });
    // Who uses the keyboard, or listens, goes on where the page goes on.
    const heading = /** @type {HTMLElement | null} */ (document.querySelector(`[data-stage="${stage}"] h2`));
    if (!heading) return;
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }

  /** @param {State} state */
  showMessage({ message, messages }) {
    const { lang, dir } = document.documentElement;
    const own = messages[/** @type {keyof Texts} */ (lang)];
    setText(this.messageBox, own || message);
    // Nobody knows in which language the text for everybody is.
    Object.assign(this.messageBox, own ? { lang, dir } : { lang: "", dir: "auto" });
    $("line-message").hidden = !(own || message);
  }

  get messageBox() {
    return /** @type {HTMLElement} */ ($("line-message").querySelector("bdi"));
  }

  /** @param {string} text @param {"bad" | "good" | "waiting"} [tone] */
  say(text, tone = "bad") {
    clearTimeout(this.mentionTimer);
    const box = $("message");
    box.textContent = text;
    box.className = `message toast ${tone}`;
    box.hidden = !text;
  }

  /** Say what concerns this moment alone. @param {string} text @param {"bad" | "good"} [tone] */
  mention(text, tone) {
    this.say(text, tone);
    const hush = () => {
      // It stays for as long as a pointer rests on it.
      if ($("message").matches(":hover")) this.mentionTimer = setTimeout(hush, MENTION_MS);
      else this.hush();
    };
    this.mentionTimer = setTimeout(hush, MENTION_MS);
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
