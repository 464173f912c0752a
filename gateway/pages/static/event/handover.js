// @ts-check
// A place goes on with the fan to another device: here its code is shown, and there it is taken from the address.
import { call, now, Problem } from "../api.js";
import { $ } from "../dom.js";
import { t } from "../text.js";

/** @import { Handover as Handed } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { Stage, State } from "./state.js" */

const IN_ADDRESS = "#place=";
/** The parts of the page whose place can move. @type {Stage[]} */
const MOVABLE = ["lobby", "waiting"];

export class Handover {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.timer = 0;
    this.shown = false;
    this.box = /** @type {HTMLDetailsElement} */ ($("handover"));
    this.box.addEventListener("toggle", () => this.box.open && this.open());
  }

  /** @param {State} state @param {State} before */
  show({ stage }, before) {
    this.box.hidden = !MOVABLE.includes(stage);
    if (this.box.hidden) this.close();
    if (this.shown && stage === "join" && before.stage !== stage) {
      this.context.page.say(t("Your place is on your other device now."), "good");
      this.shown = false;
    }
  }

  async open() {
    const { page, queue, store } = this.context;
    const picture = /** @type {HTMLImageElement} */ ($("handover-code"));
    try {
      /** @type {Handed} */
      const { expiresAt, href, qr } = await call("POST", `${queue}/handover`, { headers: store.headers });
      picture.src = qr;
      picture.hidden = false;
      /** @type {HTMLAnchorElement} */ ($("handover-link")).href = href;
      this.shown = true;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.close(), Date.parse(expiresAt) - now());
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.close();
      page.say(t("No code can be made just now. Please try again."));
    }
  }

  /** The code does not work any more, or shall not be seen any longer. */
  close() {
    clearTimeout(this.timer);
    this.box.open = false;
    $("handover-code").hidden = true;
  }

  /** Take the place that another device has handed over by this page's address. */
  async take() {
    if (!location.hash.startsWith(IN_ADDRESS)) return;
    const token = location.hash.slice(IN_ADDRESS.length);
    globalThis.history.replaceState(null, "", location.pathname + location.search);
    const { page, queue, store, tell } = this.context;
    if (store.state.token || MOVABLE.includes(store.state.stage)) {
      return page.say(t("This device has a place of its own. The other device keeps its place."));
    }
    try {
      tell({ type: "news", news: await call("GET", queue, { headers: { "X-Place-Token": token } }) });
      page.say(t("Your place is on this device now."), "good");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      page.say(t("That code does not work any more. Show a new one on the other device."));
    }
  }
}
