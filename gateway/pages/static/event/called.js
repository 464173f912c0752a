// @ts-check
// The fan is called: the page claims the turn by itself, and again until the server has answered.
import { call, now, Problem, sleep } from "../api.js";
import { $ } from "../dom.js";
import { clock } from "../words.js";
import { t } from "../text.js";

/** @import { Claimed } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { State } from "./state.js" */

const CLAIM_SECONDS = 60; // where the server names no time
const PATIENCE_SECONDS = 8;
const AGAIN_MS = 2000;
const PASSED_ON_MS = 2000; // in which the tab that heard the call first has claimed it
const TICK_MS = 500;

export class Called {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.claiming = false;
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.stage === "called" && state.call && state.call !== before.call) this.claim(state.call);
  }

  /** @param {NonNullable<State["call"]>} call */
  async claim({ seconds, passedOn }) {
    if (this.claiming) return;
    this.claiming = true;
    this.context.alert.ring(t("It’s your turn!"), this.context.event.name);
    const { isShop } = this.context.event;
    this.context.page.announce(isShop ? t("It’s your turn!") : t("It’s your turn! Opening the seats…"));
    const due = now() + 1000 * (seconds ?? CLAIM_SECONDS);
    const tick = () => {
      $("called-left").textContent = t("Go in within {time}.", { time: clock(due - now()) });
    };
    let timer = 0;
    let outcome;
    try {
      // One tab claims for all. Where it does not, perhaps because it sleeps, each of the others does.
      if (passedOn) await sleep(PASSED_ON_MS);
      if (this.context.store.state.stage !== "called") return;
      while ((outcome = await this.tryOnce(due)) === "again") {
        if (!timer) timer = setInterval(tick, TICK_MS);
        if (!isShop) $("called-words").textContent = t("Trying to open the seats…");
        tick();
        $("claim").hidden = false;
        const pressed = new Promise((go) => $("claim").addEventListener("click", go, { once: true }));
        await Promise.race([sleep(AGAIN_MS), pressed]);
      }
    } finally {
      clearInterval(timer);
      this.claiming = false;
    }
    if (outcome === "refused") await this.context.ask("expired");
  }

  /** @param {number} due ms @returns {Promise<"admitted" | "again" | "refused">} */
  async tryOnce(due) {
    const { queue, store, tell } = this.context;
    try {
      /** @type {Claimed} */
      const claimed = await call("POST", `${queue}/claim`, {
        body: {},
        headers: store.headers,
        patience: PATIENCE_SECONDS,
      });
      tell({ type: "news", news: { state: "admitted", ...claimed } });
      return "admitted";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const passing = error.status === 0 || error.status === 429 || error.status >= 500;
      return passing && now() <= due ? "again" : "refused";
    }
  }
}
