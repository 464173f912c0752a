// @ts-check
// The fan's own history of this event, asked for when it is unfolded.
import { call } from "../api.js";
import { $, make } from "../dom.js";
import { count } from "../words.js";

/** @import { Receipt } from "../../contract.d.ts" */
/** @import { Context } from "./main.js" */
/** @import { State } from "./state.js" */

// A change of state is written down before it is told, but another may follow at once.
const ASK_MS = 300;

/** The receipt's reasons in words. @type {Record<string, string>} */
const REASONS = {
  joined_lobby: "You entered the lobby.",
  drawn: "Your place was drawn.",
  joined: "You joined the line.",
  restored: "We restored your place after a fault on our side.",
  access_code: "You used an access code: you wait in the priority line.",
  called: "It was your turn: you were called.",
  claim_missed: "You did not come in time when called. You kept your place, this once.",
  claim_missed_again: "You did not come in time when called again, so your place ended.",
  skipped_absent: "You were away when your turn came; others went first. Your place was kept for a while.",
  came_back: "You were back, at your old place.",
  claimed: "You went in.",
  no_line: "You went straight in, for nobody was waiting.",
  left: "You left.",
  bought: "You bought your tickets.",
  pass_ended: "Your time inside ended.",
  absent_too_long: "You were away too long after your turn, so your place ended.",
};

export class History {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.timer = 0;
    this.box = /** @type {HTMLDetailsElement} */ ($("history"));
    this.time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this.box.addEventListener("toggle", () => this.look(context.store.state));
    this.look(context.store.state);
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.standing !== before.standing) this.look(state);
  }

  /** @param {State} state */
  look({ standing, token }) {
    this.box.hidden = !standing && !token;
    if (!this.box.open || this.box.hidden || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.read().catch(() => {});
    }, ASK_MS);
  }

  async read() {
    /** @type {Receipt} */
    const { entries, draw } = await call("GET", `${this.context.queue}/receipt`);
    $("history-lines").replaceChildren(
      ...entries.map(({ at, reason }) => {
        const line = make("li");
        const time = make("time", this.time.format(new Date(at)));
        time.dateTime = at;
        line.append(time, ` ${REASONS[reason] ?? reason}`);
        return line;
      }),
    );
    $("history-draw").hidden = !draw?.number;
    if (!draw?.number) return;
    const link = make("a", "Recheck the draw");
    link.href = draw.href;
    $("history-draw").replaceChildren(`You drew place ${count(draw.number)} of ${count(draw.participants)}. `, link);
  }
}
