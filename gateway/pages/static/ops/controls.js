// @ts-check
// The controls of the room in view. A change names the revision of the room that the operator was looking at. If another
// operator was first, the second one is shown that change and decides. A change is done when the room shows it.
import { call, now, Problem } from "../api.js";
import { $, buttonOf, formOf, inputOf, make, setText } from "../dom.js";
import { signedOut } from "../operator.js";
import { count } from "../text.js";
import { same, seen, valueIn } from "./effects.js";
import { askedWords, changedWords, DIALS as API_NAMES, fieldWords, languageWords, valueWords } from "./words.js";

/** @import { RoomAnswer, RoomLogLine, RoomLogList } from "../../contract.d.ts" */
/** @typedef {{field: string, value: unknown, revision: number, since: import("./effects.js").Since | null}} Tracked */

const DIALS = Object.values(API_NAMES);
/** What each button for undoing takes back: fields of the log with their names in the API, and a value of the log as the API has it. @type {Record<string, {names: Record<string, string>, value: (field: string, logged: unknown) => unknown}>} */
const UNDONE = {
  "undo": { names: API_NAMES, value: (_, logged) => Number(logged) },
  "undo-message": {
    names: { message: "message", messages: "messages" },
    value: (field, logged) => field === "message" ? logged : JSON.parse(String(logged)),
  },
};
const SEATS_A_FAN = 2; // The estimates of the line reckon so too.
const RATE_MAX = 1_000_000;
const GATEWAYS_MS = 6000; // A gateway that died counts for five seconds more.
const SHOWN_MS = 8000; // How long the words of an effect stay once it was seen.
/** The place on the page where a field's effect is shown. @param {string} field */
const placeOf = (field) => field === "paused" || field === "closed" ? "door" : field === "messages" ? "message" : field;

/** @param {string} words */
const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** What an operator is typing, and which revision of the room it is meant for. */
class Draft {
  /** @type {Map<string, unknown>} */
  fields = new Map();
  revision = 0;
  /** @param {string} field @param {unknown} value @param {RoomAnswer} room */
  set(field, value, room) {
    if (!this.fields.size) this.revision = room.revision;
    if (same(value, valueIn(room, field))) this.fields.delete(field);
    else this.fields.set(field, value);
  }
  clear() {
    this.fields.clear();
  }
}

export class Controls {
  /** @param {{say: (text: string) => void, announce: (text: string) => void, signIn: () => void, drawn: (room: RoomAnswer) => void}} page */
  constructor(page) {
    this.page = page;
    /** Without fields until the first room comes into view. */
    this.room = /** @type {RoomAnswer} */ ({});
    this.dials = new Draft();
    this.line = new Draft();
    /** @type {Map<string, Tracked>} by place of its words */
    this.tracked = new Map();
    /** @type {Record<string, unknown> | null} what the conflict in view is about */
    this.disputed = null;
    this.disputedRevision = 0;
    this.sending = false;
    /** What takes a last change back, by the button that does it. @type {Map<string, {changes: Record<string, unknown>, revision: number}>} */
    this.undo = new Map();
    this.form = formOf("dials");
    this.why = inputOf("why");
    this.text = /** @type {HTMLTextAreaElement} */ ($("to-line-text"));
    /** @type {NodeListOf<HTMLTextAreaElement>} a text for each language */
    this.texts = document.querySelectorAll(".languages textarea");
    this.listen();
  }

  listen() {
    this.form.addEventListener("input", (input) => {
      const field = /** @type {HTMLInputElement} */ (input.target);
      if (DIALS.includes(field.name) && !Number.isNaN(field.valueAsNumber)) {
        this.dials.set(field.name, field.valueAsNumber, this.room);
      }
      this.drawForms();
    });
    this.form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      if (this.form.reportValidity()) this.change(Object.fromEntries(this.dials.fields), this.dials.revision);
    });
    this.form.addEventListener("reset", (reset) => {
      reset.preventDefault();
      this.forget(DIALS);
    });
    this.form.addEventListener("keydown", (key) => {
      if (key.key === "Escape") this.forget(DIALS);
    });
    this.text.addEventListener("input", () => {
      this.line.set("message", this.text.value, this.room);
      this.drawForms();
    });
    for (const text of this.texts) {
      text.addEventListener("input", () => {
        this.line.set("messages", this.textsTyped(), this.room);
        this.drawForms();
      });
    }
    formOf("to-line").addEventListener("keydown", (key) => {
      if (key.key === "Escape") this.forget(["message", "messages"]);
      if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) {
        formOf("to-line").requestSubmit();
      }
    });
    $("to-line").addEventListener("submit", (submit) => {
      submit.preventDefault();
      const changes = Object.fromEntries(this.line.fields);
      if ("message" in changes) changes.message = this.text.value.trim();
      this.change(changes, this.line.revision);
    });
    $("take-down").addEventListener("click", () => this.change({ message: "", messages: {} }, this.room.revision));
    $("pause").addEventListener(
      "click",
      () => (this.room.paused ? this.change({ paused: false }, this.room.revision) : this.askToShut("paused")),
    );
    for (const id of Object.keys(UNDONE)) {
      $(id).addEventListener("click", () => {
        const undo = this.undo.get(id);
        if (undo) this.change(undo.changes, undo.revision);
      });
    }
    for (const button of document.querySelectorAll("#presets button")) {
      button.addEventListener("click", () => {
        const rate = this.presetRate(Number(/** @type {HTMLElement} */ (button).dataset.minutes));
        const input = /** @type {HTMLInputElement} */ (this.form.elements.namedItem("ratePerMinute"));
        input.value = String(rate);
        this.dials.set("ratePerMinute", rate, this.room);
        this.drawForms();
        input.focus();
      });
    }
    $("autopilot").addEventListener(
      "click",
      () => this.change({ autopilot: !this.room.autopilot }, this.room.revision),
    );
    $("close").addEventListener(
      "click",
      () => (this.room.closed ? this.change({ closed: false }, this.room.revision) : this.askToShut("closed")),
    );
    $("conflict-apply").addEventListener("click", () => {
      if (this.disputed) this.change(this.disputed, this.disputedRevision);
    });
    $("conflict-keep").addEventListener("click", () => this.forget(Object.keys(this.disputed ?? {})));
  }

  /** @param {"paused" | "closed"} how */
  askToShut(how) {
    const dialog = /** @type {HTMLDialogElement} */ ($("shut-dialog"));
    const why = /** @type {HTMLInputElement} */ (dialog.querySelector("[name=why]"));
    const revision = this.room.revision;
    const eventId = this.room.eventId;
    const verb = how === "closed" ? "Close" : "Pause";
    $("shut-title").textContent = `${verb} the line of ${this.room.name}?`;
    $("shut-words").textContent = how === "closed"
      ? "Nobody can join or is let in until you open it again. People inside can finish."
      : "Nobody is let in until you resume. People inside can finish, and nobody loses a place.";
    $("shut").textContent = `${verb} the line`;
    dialog.returnValue = why.value = "";
    // The event of a close before may come only now. It must not use up what listens to the next one.
    dialog.onclose = () => {
      if (dialog.returnValue === "shut" && eventId === this.room.eventId) {
        this.change({ [how]: true }, revision, why.value);
      }
    };
    dialog.showModal();
    // Enter, which opened this, must not shut the line as well.
    /** @type {HTMLElement} */ (dialog.querySelector('[value=""]')).focus();
  }

  /** This operator changed the room's schedule: what is being typed is meant for the room as that leaves it. @param {number} before @param {number} after revisions */
  keepUp(before, after) {
    if (after !== before + 1) return;
    for (const draft of [this.dials, this.line]) if (draft.revision === before) draft.revision = after;
  }

  /** What stands in the fields of the languages, as the API has it. */
  textsTyped() {
    return Object.fromEntries(
      [...this.texts].map((text) => [text.name, text.value.trim()]).filter(([, typed]) => typed),
    );
  }

  /** The rate at which the free seats sell in so many minutes, if every fan who is called comes and takes two. @param {number} minutes */
  presetRate(minutes) {
    const { free = 0, noShowRate = 0 } = this.room;
    const fans = free / SEATS_A_FAN / Math.max(1 - noShowRate, 0.1);
    return Math.min(RATE_MAX, Math.max(1, Math.round(fans / minutes)));
  }

  /** Offer to take the last change of dials back, and the last one of what the line is told, unless it was changed again by another way. @param {RoomLogLine[]} entries the room's log, the newest first */
  offerUndo(entries) {
    const { room } = this;
    for (const [id, { names, value }] of Object.entries(UNDONE)) {
      const last = entries.find((line) => line.field in names);
      const lines = entries.filter((line) => line.revision === last?.revision && line.field in names);
      const isInForce = lines.every(({ field, to }) => same(valueIn(room, names[field]), value(field, to)));
      this.undo.delete(id);
      $(id).hidden = !last || !isInForce;
      if (!last || !isInForce) continue;
      const changes = Object.fromEntries(lines.map(({ field, from }) => [names[field], value(field, from)]));
      this.undo.set(id, { changes, revision: room.revision });
      setText($(id), `Undo: ${askedWords(changes)}`);
    }
  }

  /** Another room comes into view, or the same one as it is now. @param {RoomAnswer} room */
  draw(room) {
    const before = this.room;
    const another = before.eventId !== room.eventId;
    this.room = room;
    if (another) {
      this.dials.clear();
      this.line.clear();
      this.tracked.clear();
      this.why.value = "";
      this.undo.clear();
      for (const id of Object.keys(UNDONE)) $(id).hidden = true;
      for (const words of document.querySelectorAll("[data-effect]")) words.textContent = "";
      this.settle();
    }
    const draft = this.dials.fields.size ? this.dials : this.line.fields.size ? this.line : null;
    // Another operator was quicker. The operator had better know it now than be refused later.
    if (!another && draft && room.revision > draft.revision && room.revision > before.revision && !this.sending) {
      this.showWhoWasFirst(draft);
    }
    this.follow();
    this.drawForms();
    this.drawDoor();
  }

  /** @param {Draft} draft */
  async showWhoWasFirst(draft) {
    const { eventId, revision } = this.room;
    try {
      /** @type {RoomLogList} */
      const { entries } = await call("GET", `/api/ops/rooms/${eventId}/log`);
      const theirs = entries.filter((line) => line.revision > draft.revision && line.revision <= revision).reverse();
      if (eventId === this.room.eventId && draft.fields.size && theirs.length) {
        this.dispute(Object.fromEntries(draft.fields), theirs, revision);
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // Then the refusal says it.
    }
  }

  /**
   * @param {Record<string, unknown>} changes @param {number} revision the room's, as the operator saw it
   * @param {string} [why] the reason in the log; where it is not given, that of the dials' form
   */
  async change(changes, revision, why = this.why.value) {
    if (this.sending || !Object.keys(changes).length) return;
    const { eventId, name } = this.room;
    this.sending = true;
    this.page.say("");
    for (const field of Object.keys(changes)) this.put(placeOf(field), "setting…", "is-wanted");
    try {
      const said = why.trim();
      /** @type {RoomAnswer} */
      const answer = await call("PATCH", `/api/ops/rooms/${eventId}`, {
        body: { ...changes, revision, ...(said ? { why: said } : {}) },
      });
      if (eventId !== this.room.eventId) return;
      const own = Math.min(answer.revision, revision + 1);
      for (const draft of [this.dials, this.line]) {
        for (const field of Object.keys(changes)) draft.fields.delete(field);
        // What else the operator is typing is meant for the room as this change leaves it.
        if (draft.revision === revision) draft.revision = own;
      }
      this.why.value = "";
      this.settle();
      for (const [field, value] of Object.entries(changes)) {
        this.tracked.set(placeOf(field), { field, value, revision: own, since: null });
      }
      this.page.drawn(answer);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      for (const field of Object.keys(changes)) this.put(placeOf(field), "");
      if (signedOut(error)) return this.page.signIn();
      if (eventId !== this.room.eventId) return;
      if (error.code === "conflict") {
        this.dispute(changes, error.body.changes ?? [], error.body.revision ?? revision, true);
      } else {
        const outcome = error.status === 0 ? "Whether it was changed, the log tells." : "Nothing was changed.";
        this.page.say(`${name}: ${error.message} ${outcome}`);
      }
    } finally {
      this.sending = false;
      this.drawForms();
    }
  }

  /**
   * Show what another operator changed beside what this one asks for. Nothing is sent before this operator decides.
   * @param {Record<string, unknown>} changes @param {RoomLogLine[]} theirs lines of the log, the oldest first
   * @param {number} revision where the room stands @param {boolean} [refused] the change was sent
   */
  dispute(changes, theirs, revision, refused = false) {
    this.disputed = changes;
    this.disputedRevision = revision;
    const names = [...new Set(theirs.map((line) => line.operator))];
    const who = names.length ? names.join(" and ") : "Somebody else";
    $("conflict-title").textContent = refused
      ? `Not applied: ${who} changed this room first`
      : `${who} changed this room while you were at it`;
    $("conflict-theirs").replaceChildren(
      ...theirs.map((line) => {
        const { at, field, from, operator, to, why } = line;
        const item = make("li");
        item.append(
          make("b", `${fieldWords(field)} ${valueWords(field, from)} → ${valueWords(field, to)}`),
          ` ${operator}, ${changedWords(at)}${why ? `: “${why}”` : ""}`,
        );
        return item;
      }),
    );
    $("conflict-mine").textContent = `Yours: ${askedWords(changes)}`;
    $("conflict").hidden = false;
    if (refused) $("conflict").focus();
    this.page.announce($("conflict-title").textContent ?? "");
  }

  settle() {
    this.disputed = null;
    $("conflict").hidden = true;
  }

  /** Drop what is being typed. @param {string[]} fields */
  forget(fields) {
    const inConflict = $("conflict").contains(document.activeElement);
    for (const field of fields) {
      this.dials.fields.delete(field);
      this.line.fields.delete(field);
    }
    this.settle();
    this.drawForms();
    if (inConflict) this.form.querySelector("input")?.focus();
  }

  /** Look whether the room shows the changes that were made. */
  follow() {
    const at = now();
    for (const [place, one] of this.tracked) {
      const { room } = this;
      if (room.revision < one.revision) continue;
      if (!same(valueIn(room, one.field), one.value)) {
        this.tracked.delete(place); // Somebody has changed it again.
        this.put(place, "");
        continue;
      }
      let { since } = one;
      if (!since) {
        since = one.since = { at, letIn: room.letIn };
        this.page.announce(`${room.name}: ${askedWords({ [one.field]: one.value })}, in force.`);
      }
      // Redis lost the room and counts anew.
      if (room.letIn < since.letIn) Object.assign(since, { at, letIn: room.letIn });
      if (room.gatewaysInForce < room.gateways && at - since.at < GATEWAYS_MS) {
        this.put(place, `in force at ${room.gatewaysInForce} of ${room.gateways} gateways`, "is-wanted");
        continue;
      }
      const { done, words } = seen(one.field, room, since, at);
      this.put(place, words, done ? "is-seen" : "is-wanted");
      if (!done) continue;
      this.tracked.delete(place);
      this.page.announce(`${room.name}: ${words}.`);
      setTimeout(() => {
        if (!this.tracked.has(place) && this.effect(place).textContent === words) this.put(place, "");
      }, SHOWN_MS);
    }
  }

  /** @param {string} place */
  effect(place) {
    return /** @type {HTMLElement} */ (document.querySelector(`[data-effect="${place}"]`));
  }
  /** @param {string} place @param {string} words @param {string} [state] */
  put(place, words, state = "") {
    const effect = this.effect(place);
    effect.textContent = words;
    effect.className = `effect ${state}`;
    delete effect.dataset.now;
  }

  drawForms() {
    for (const name of DIALS) {
      const input = /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
      const draft = this.dials.fields.has(name);
      if (!draft && document.activeElement === input && Number.isNaN(input.valueAsNumber)) continue; // Being cleared.
      if (!draft && input.valueAsNumber !== valueIn(this.room, name)) {
        input.value = String(valueIn(this.room, name) ?? "");
      }
      input.classList.toggle("is-edited", draft);
      if (!this.tracked.has(name) && (draft || "now" in this.effect(name).dataset)) {
        this.put(name, draft ? `now ${valueWords(name, valueIn(this.room, name))}` : "");
        if (draft) this.effect(name).dataset.now = "";
      }
    }
    for (const button of document.querySelectorAll("#presets button")) {
      const { minutes } = /** @type {HTMLElement} */ (button).dataset;
      setText(button, `${minutes} min: ${count(this.presetRate(Number(minutes)))}/min`);
    }
    $("presets").hidden = !this.room.free;
    const edited = this.dials.fields.size > 0;
    buttonOf("apply").disabled = !edited || !this.form.checkValidity();
    buttonOf("reset").hidden = !edited;
    if (!this.line.fields.has("message") && this.text.value !== this.room.message) {
      this.text.value = this.room.message ?? "";
    }
    /** @type {Record<string, string>} */
    const texts = { ...this.room.messages };
    for (const text of this.texts) {
      if (!this.line.fields.has("messages") && text.value !== (texts[text.name] ?? "")) {
        text.value = texts[text.name] ?? "";
      }
    }
    const named = document.querySelector('[data-f="languagesWithText"]');
    if (named) setText(named, Object.keys(texts).map(languageWords).join(", "));
    const isTyped = this.line.fields.has("message") && this.text.value.trim();
    buttonOf("send").disabled = !isTyped && !this.line.fields.has("messages");
    buttonOf("take-down").hidden = !this.room.message && !Object.keys(texts).length;
  }

  drawDoor() {
    // A room whose lobby is yet to open is shut as well, but nobody has closed it.
    const { state, paused, closed, autopilot, autopilotWhy } = this.room;
    const off = state === "off";
    $("pause").textContent = paused ? "Resume" : "Pause";
    $("close").textContent = closed ? "Open again" : "Close";
    buttonOf("pause").disabled = off || closed;
    buttonOf("close").disabled = off;
    $("autopilot").setAttribute("aria-checked", String(Boolean(autopilot)));
    const why = document.querySelector('[data-f="autopilotWhy"]');
    const words = autopilot ? sentence(autopilotWhy || "looking at the sale…") : "Off: your rate applies.";
    if (why) setText(why, words);
    const label = document.querySelector('[data-f="rateLabel"]');
    if (label) label.textContent = autopilot ? "Ceiling a minute" : "Rate a minute";
  }
}
