// @ts-check
// The fan's own history of this event, asked for when it is unfolded.
import { call } from "../api.js";
import { $, make } from "../dom.js";
import { momentWords } from "../moments.js";
import { count, t } from "../text.js";

/** @import { Receipt } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { State } from "./state.js" */

// A change of state is written down before it is told, but another may follow at once.
const ASK_MS = 300;
/** What the server says of somebody who has never joined: the room's state, or nothing. */
const STRANGERS = ["", "none", "closed", "sold_out", "rebuilding"];

/** The receipt's reasons in words. @type {Record<string, string>} */
const REASONS = {
  joined_lobby: t("You entered the lobby."),
  drawn: t("You got your random place."),
  joined: t("You joined the line."),
  restored: t("We restored your place after a problem on our side."),
  access_code: t("You used a presale code: you wait in the priority line."),
  called: t("It was your turn."),
  claim_missed: t("You missed your turn. You get one more chance."),
  claim_missed_again: t("You missed your turn again, so you lost your place."),
  skipped_absent: t("You were away when your turn came, so others went first. Your place was kept for a while."),
  came_back: t("You came back, at your old place."),
  moved_to_this_session: t("You came back in a new session, at your old place."),
  moved_to_another_session: t("You took your place into another session."),
  sale_put_off: t("The sale was moved to a later time: you are back at your old place."),
  event_cancelled: t("This event was cancelled"),
  claimed: t("You went in."),
  idle_inside: t("You did nothing for a while, so others were let in. You kept your place at the front of the line."),
  no_line: t("No line: you went straight in."),
  left: t("You left."),
  bought: t("You bought your tickets."),
  pass_ended: t("Your time to choose ran out."),
  absent_too_long: t("You were away too long after your turn, so you lost your place."),
};

export class History {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.timer = 0;
    this.box = /** @type {HTMLDetailsElement} */ ($("history"));
    this.box.addEventListener("toggle", () => this.look(context.store.state));
    this.look(context.store.state);
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.standing !== before.standing) this.look(state);
  }

  /** @param {State} state */
  look({ standing, token }) {
    this.box.hidden = !token && STRANGERS.includes(standing);
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
        const time = make("time", momentWords(at, "seconds"));
        time.dateTime = at;
        line.append(time, ` ${REASONS[reason] ?? reason}`);
        return line;
      }),
    );
    $("history-draw").hidden = !draw?.number;
    if (!draw?.number) return;
    const link = make("a", t("Check my place"));
    link.href = draw.href;
    $("history-draw").replaceChildren(
      `${t("Your random place is {n} of {all}.", { n: count(draw.number), all: count(draw.participants) })} `,
      link,
    );
  }
}
