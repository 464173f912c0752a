// @ts-check
// The operators' console: every room live, and its dials.
import { Problem, Stream, call } from "./api.js";
import { count } from "./words.js";

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const DIALS = ["ratePerMinute", "capacity", "lineCap"];
const STATES = { open: "Open", lobby: "Lobby", paused: "Paused", closed: "Closed", off: "No room", sold_out: "Sold out", rebuilding: "Rebuilding" };
/** @type {Map<number, Room>} */
const rooms = new Map();

/** @param {string} text */
function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

class Room {
  /** @param {number} eventId */
  constructor(eventId) {
    this.eventId = eventId;
    const template = /** @type {HTMLTemplateElement} */ ($("room-template"));
    this.element = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    /** @type {Record<string, any>} */
    this.now = {};
    /** @type {Record<string, any>} asked for and not yet seen in force */
    this.wanted = {};
    this.form = /** @type {HTMLFormElement} */ (this.element.querySelector("form"));
    this.form.addEventListener("input", () => this.drawDials());
    this.form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.change(this.edited());
    });
    this.button("pause").addEventListener("click", () => this.change({ paused: !this.now.paused }));
    this.button("close").addEventListener("click", () => {
      const close = this.now.state !== "closed";
      if (!close || confirm(`Close the line of ${this.name}? Nobody can join or be called until you open it again.`)) this.change({ closed: close });
    });
    $("rooms").append(this.element);
  }
  get name() {
    return this.now.name ?? `Event ${this.eventId}`;
  }
  /** @param {string} name */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.element.querySelector(`[data-do="${name}"]`));
  }
  /** @param {string} name */
  input(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }
  /** @param {string} name @param {string} text */
  put(name, text) {
    const field = this.element.querySelector(`[data-f="${name}"]`);
    if (field && field.textContent !== text) field.textContent = text;
  }
  edited() {
    /** @type {Record<string, number>} */
    const change = {};
    for (const dial of DIALS) {
      const value = this.input(dial).valueAsNumber;
      if (!Number.isNaN(value) && value !== this.now[dial]) change[dial] = value;
    }
    return change;
  }

  /** @param {Record<string, any>} change */
  async change(change) {
    if (!Object.keys(change).length) return;
    say("");
    Object.assign(this.wanted, change);
    this.drawDials();
    const why = this.input("why").value.trim();
    try {
      this.draw(await call("PATCH", `/api/ops/rooms/${this.eventId}`, { body: why ? { ...change, why } : change }));
      this.input("why").value = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      for (const field of Object.keys(change)) delete this.wanted[field];
      this.drawDials();
      if (error.status === 401 || error.status === 403) return signIn();
      say(`${this.name}: ${error.message} Nothing was changed.`);
    }
  }

  /** @param {any} news */
  draw(news) {
    const before = this.now;
    this.now = { ...before, ...news, paused: news.paused ?? news.state === "paused" };
    for (const field of Object.keys(this.wanted)) {
      const is = field === "closed" ? this.now.state === "closed" : this.now[field];
      if (is !== this.wanted[field]) continue;
      delete this.wanted[field];
      this.confirm(field);
    }
    for (const dial of DIALS) {
      const input = this.input(dial);
      if (input.value === "" || (Number(input.value) === before[dial] && !(dial in this.wanted))) input.value = String(this.now[dial] ?? "");
    }
    const { state, admitted, capacity, sold = 0, held = 0, free = 0 } = this.now;
    this.put("name", this.name);
    this.put("state", STATES[/** @type {keyof typeof STATES} */ (state)] ?? state);
    const tag = this.element.querySelector('[data-f="state"]');
    if (tag) tag.className = `tag ${state === "open" ? "is-open" : state === "closed" || state === "sold_out" || state === "off" ? "is-shut" : "is-slow"}`;
    for (const figure of ["waiting", "called", "backlog", "sold", "held", "free"]) this.put(figure, count(this.now[figure]));
    this.put("admitted", `${count(admitted)} / ${count(capacity)}`);
    this.put("noShowRate", this.now.noShowRate === null || this.now.noShowRate === undefined ? "–" : `${Math.round(this.now.noShowRate * 100)}%`);
    this.put("p95BookingMs", this.now.p95BookingMs === null || this.now.p95BookingMs === undefined ? "–" : `${count(Math.round(this.now.p95BookingMs))} ms`);
    const whole = sold + held + free || 1;
    this.element.querySelector(".s-sold")?.setAttribute("width", String((100 * sold) / whole));
    this.element.querySelector(".s-held")?.setAttribute("width", String((100 * held) / whole));
    this.element.querySelector(".s-held")?.setAttribute("x", String((100 * sold) / whole));
    this.button("pause").textContent = this.now.paused ? "Resume" : "Pause";
    this.button("close").textContent = state === "closed" ? "Open again" : "Close";
    for (const name of ["pause", "close"]) this.button(name).hidden = state === "off";
    this.button("pause").disabled = state === "closed";
    this.drawDials();
  }

  drawDials() {
    for (const dial of DIALS) {
      const words = /** @type {HTMLElement} */ (this.form.querySelector(`[data-now="${dial}"]`));
      const wanted = this.wanted[dial];
      if (words.classList.contains("is-new") && wanted === undefined) continue;
      words.classList.toggle("is-wanted", wanted !== undefined);
      words.textContent = wanted !== undefined ? `setting ${count(wanted)}…` : `now ${count(this.now[dial])}`;
    }
    const apply = /** @type {HTMLButtonElement} */ (this.form.querySelector("button"));
    apply.disabled = !Object.keys(this.edited()).length || !this.form.checkValidity();
  }

  /** The change is in force: the room itself says so. @param {string} field */
  confirm(field) {
    const words = { ratePerMinute: "admissions a minute", capacity: "capacity", lineCap: "line cap" }[field];
    const shown = words ? `${words} is now ${count(this.now[field])}` : field === "paused" ? (this.now.paused ? "paused" : "resumed") : this.now.state === "closed" ? "closed" : "open again";
    $("announcer").textContent = `${this.name}: ${shown}.`;
    const small = /** @type {HTMLElement | null} */ (this.form.querySelector(`[data-now="${field}"]`));
    if (!small) return;
    small.textContent = `in force: ${count(this.now[field])}`;
    small.classList.remove("is-wanted");
    small.classList.add("is-new");
    setTimeout(() => {
      small.classList.remove("is-new");
      this.drawDials();
    }, 4000);
  }
}

/** @param {any} news one room, or a list of them */
function show(news) {
  for (const one of Array.isArray(news) ? news : (news.rooms ?? [news])) {
    let room = rooms.get(one.eventId);
    if (!room) rooms.set(one.eventId, (room = new Room(one.eventId)));
    room.draw(one);
  }
  const sum = (/** @type {string} */ field) => [...rooms.values()].reduce((total, room) => total + (room.now[field] ?? 0), 0);
  $("summary").textContent = `${count(sum("waiting"))} waiting · ${count(sum("admitted"))} choosing seats · ${count(sum("sold"))} sold`;
}

/** @type {Stream | null} */
let stream = null;

function signIn() {
  stream?.close();
  stream = null;
  $("connection").hidden = true;
  $("console").hidden = true;
  $("sign-in").hidden = false;
  /** @type {HTMLInputElement | null} */ (document.querySelector("[name=name]"))?.focus();
}

async function begin() {
  let news;
  try {
    news = await call("GET", "/api/ops/rooms");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401 || error.status === 403) return signIn();
    $("console").hidden = false;
    say("The server does not answer. Trying again…");
    setTimeout(begin, 3000);
    return;
  }
  say("");
  $("sign-in").hidden = true;
  $("console").hidden = false;
  show(news);
  $("no-rooms").hidden = rooms.size > 0;
  stream = new Stream(() => "/api/ops/stream", { room: show, rooms: show, bye: () => {} }, (connected) => {
    $("connection").hidden = false;
    $("connection").textContent = connected ? "Live" : "Reconnecting…";
    $("connection").classList.toggle("is-lost", !connected);
  });
}

$("sign-in-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const form = /** @type {HTMLFormElement} */ ($("sign-in-form"));
  const words = $("sign-in-message");
  words.hidden = true;
  try {
    await call("POST", "/api/ops/session", { body: Object.fromEntries(new FormData(form)) });
    form.reset();
    await begin();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    words.textContent = error.status === 401 || error.status === 403 ? "Name and password do not match." : error.message;
    words.hidden = false;
  }
});

begin();
