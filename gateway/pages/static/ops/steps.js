// @ts-check
// What is scheduled for the room in view: a list, each step with its end, and a form by the venue's clock.
import { call, Problem } from "../api.js";
import { $, formOf, make, setText } from "../dom.js";
import { eventWords, UNKNOWN_ZONE } from "../moments.js";
import { momentOf, offerTurns } from "../venue-time.js";
import { localIn } from "../zones.js";
import { fieldWords, valueWords } from "./words.js";

/** @import { RoomAnswer, RoomStepAnswer, RoomStepList } from "../../contract.d.ts" */

/** The zone that the form goes by: the venue's, else the operator's own. @param {RoomAnswer} room */
const zoneOf = ({ timeZone }) =>
  timeZone === UNKNOWN_ZONE ? new Intl.DateTimeFormat().resolvedOptions().timeZone : timeZone;

export class Steps {
  /** @param {{say: (text: string) => void, changed: (room: RoomAnswer, before: number) => void}} page */
  constructor(page) {
    this.page = page;
    this.asked = ""; // The room and the revision whose steps are shown or under way.
    this.room = /** @type {RoomAnswer} */ ({});
    this.form = formOf("step-form");
    this.at = /** @type {HTMLInputElement} */ (this.form.elements.namedItem("at"));
    this.value = /** @type {HTMLInputElement} */ (this.form.elements.namedItem("value"));
    this.field = /** @type {HTMLSelectElement} */ (this.form.elements.namedItem("field"));
    this.at.addEventListener("input", () => offerTurns(this.at, zoneOf(this.room)));
    this.field.addEventListener("input", () => this.drawField());
    this.form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      if (this.form.reportValidity()) this.schedule();
    });
    $("steps").addEventListener("toggle", () => {
      const zone = zoneOf(this.room);
      if (!this.at.value && zone) this.at.value = localIn(Date.now() + 600_000, zone);
    });
  }

  drawField() {
    const hasValue = !["pause", "resume"].includes(this.field.value);
    this.value.disabled = !hasValue;
    /** @type {HTMLElement} */ (this.value.parentElement).hidden = !hasValue;
  }

  /** @param {RoomAnswer} room */
  async show(room) {
    if (room.eventId !== this.room.eventId) {
      $("step-list").replaceChildren();
      this.at.value = this.value.value = "";
    }
    this.room = room;
    const zone = document.querySelector('[data-f="stepZone"]');
    if (zone) setText(zone, `By the clock of ${zoneOf(room)}`);
    const key = `${room.eventId}/${room.revision}`;
    if (this.asked === key) return;
    this.asked = key;
    try {
      /** @type {RoomStepList} */
      const { steps } = await call("GET", `/api/ops/rooms/${room.eventId}/steps`);
      if (this.asked === key) this.draw(steps);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.asked === key) this.asked = ""; // With the next news of the room they are asked for again.
    }
  }

  /** @param {RoomStepAnswer[]} steps */
  draw(steps) {
    const held = document.activeElement?.closest("#step-list");
    $("step-list").replaceChildren(...steps.map((step) => this.item(step)));
    const number = document.querySelector('[data-f="stepsCount"]');
    if (number) setText(number, steps.length ? ` ${steps.length}` : "");
    if (held) /** @type {HTMLElement} */ ($("steps").firstElementChild).focus();
  }

  /** @param {RoomStepAnswer} step */
  item({ at, scheduledBy, sets, stepId, why }) {
    const item = make("li");
    const moment = make("time", eventWords(at, this.room.timeZone).words);
    moment.dateTime = at;
    const words = Object.entries(sets).map(([field, value]) =>
      field === "paused" ? valueWords(field, value) : `${fieldWords(field)} ${valueWords(field, value)}`
    ).join(", ");
    const cancel = make("button", "Cancel", "button plain");
    cancel.type = "button";
    cancel.setAttribute("aria-label", `Cancel: ${words}, ${moment.textContent}`);
    cancel.addEventListener("click", () => this.takeBack(stepId));
    item.append(make("b", words), cancel, moment, make("span", ` ${scheduledBy}${why ? `: “${why}”` : ""}`, "muted"));
    return item;
  }

  async schedule() {
    const { room } = this;
    const at = momentOf(this.at, zoneOf(room));
    if (!at) return this.page.say("The venue’s clock never shows this time. Choose another.");
    const field = this.field.value;
    const sets = this.value.disabled ? { paused: field === "pause" } : { [field]: this.value.valueAsNumber };
    await this.ask("POST", `/api/ops/rooms/${room.eventId}/steps`, { at, ...sets });
  }

  /** @param {string} stepId */
  takeBack(stepId) {
    return this.ask("DELETE", `/api/ops/rooms/${this.room.eventId}/steps/${stepId}`);
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async ask(method, path, body) {
    const { eventId, revision } = this.room;
    this.page.say("");
    try {
      await call(method, path, { body });
      if (body) this.value.value = "";
      this.page.changed(await call("GET", `/api/ops/rooms/${eventId}`), revision);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.page.say(error.message);
    }
    this.asked = "";
    await this.show(this.room);
  }
}
