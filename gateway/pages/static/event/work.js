// @ts-check
// While seats are scarce a turn ends early for a fan who does nothing. The page tells the server what only it can see:
// that a person moves, points or types here. It says nothing of what, and at most once in some seconds.
import { call, now, Problem } from "../api.js";
import { $ } from "../dom.js";
import { t } from "../text.js";

/** @import { Place } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { State } from "./state.js" */

const SIGN_MS = 15_000;
const SCARCE_SIGN_MS = 5000;
const IDLE_SIGN_MS = 1000; // of a fan whose turn went on to others
const NOTICE_MS = 30_000; // before the turn ends

export class Work {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.signedAt = 0;
    this.timer = 0;
    const moves = (/** @type {Event} */ { isTrusted }) => isTrusted && !this.isIdle && this.sign();
    const acts = (/** @type {Event} */ { isTrusted }) => isTrusted && this.sign();
    for (const input of ["pointerdown", "keydown"]) addEventListener(input, acts, { capture: true, passive: true });
    for (const input of ["wheel", "touchmove"]) addEventListener(input, moves, { capture: true, passive: true });
    // What moves under a mouse that rests makes events too.
    addEventListener("pointermove", (move) => (move.movementX || move.movementY) && moves(move), { passive: true });
    $("here").addEventListener("click", () => this.sign());
  }

  /** Whether the fan's turn went on to others, because the fan did nothing. */
  get isIdle() {
    const { place, stage } = this.context.store.state;
    return stage === "waiting" && place?.idle === true;
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    $("crowded").hidden = !state.crowded;
    $("idle").hidden = !this.isIdle;
    if (this.isIdle && !before.place?.idle) this.context.alert.ringOnce();
    if (state.idleEndsAt === before.idleEndsAt && state.choosing === before.choosing) return;
    clearTimeout(this.timer);
    $("still-there").textContent = "";
    if (!state.choosing || !state.idleEndsAt) return;
    this.timer = setTimeout(() => this.notice(), Date.parse(state.idleEndsAt) - now() - NOTICE_MS);
  }

  notice() {
    $("still-there").textContent = t(
      "Are you still choosing? Pick a seat or tap anywhere, or your turn goes to others who wait. You keep your place at the front of the line.",
    );
    this.context.alert.ringOnce();
  }

  /** Tell the server that somebody is at work here. */
  async sign() {
    const { ask, queue, store, tell } = this.context;
    const { choosing, idleEndsAt, turnEndsAt } = store.state;
    if (!this.isIdle && !(choosing && turnEndsAt)) return;
    const everyMs = this.isIdle ? IDLE_SIGN_MS : idleEndsAt ? SCARCE_SIGN_MS : SIGN_MS;
    if (Date.now() - this.signedAt < everyMs) return;
    this.signedAt = Date.now();
    try {
      /** @type {Place} */
      const news = await call("POST", `${queue}/choosing`, { body: {}, headers: store.headers });
      // A hold made meanwhile, or the end of the turn, is later news.
      if (this.isIdle || store.state.choosing) tell({ type: "news", news });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 404) ask("expired");
    }
  }
}
