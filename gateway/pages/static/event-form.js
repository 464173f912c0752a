// @ts-check
// The console's form of one event: made whole, changed where it differs, every fault shown at its field.
import { call, Problem } from "./api.js";
import { $, enter, say, signedOut, watchSignIn } from "./operator.js";
import { count, moneyIn, plural } from "./words.js";

/** @type {{eventId: number | null, exponents: Record<string, number>}} */
const data = JSON.parse($("programme-data").textContent ?? "{}");
const form = /** @type {HTMLFormElement} */ ($("event-form"));
const FACTS = ["name", "artist", "venue", "date", "onSaleAt", "currency", "seatsPerFanMax"];
const ROOM = ["state", "ratePerMinute", "capacity", "lineCap", "lobbyMinutes"];
const PICTURE_ROWS_MAX = 60;
const PICTURE_SEATS_MAX = 3000;
const SVG = "http://www.w3.org/2000/svg";

/** @type {any} the event as the server last told it */
let known = null;
/** @type {TicketType[]} */
let types = [];

/** @param {string} name @returns {HTMLInputElement} */
const input = (name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
const currency = () => input("currency").value.trim().toUpperCase();
const exponent = () => data.exponents[currency()] ?? 2;

/** @param {string} id */
function copy(id) {
  const template = /** @type {HTMLTemplateElement} */ ($(id));
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}

/** Minor units from what somebody typed; NaN for what is no price. @param {string} text */
function minor(text) {
  const parts = /^(\d{1,11})(?:[.,](\d*))?$/.exec(text.trim());
  if (!parts || (parts[2] ?? "").length > exponent()) return Number.NaN;
  return Number(parts[1]) * 10 ** exponent() + Number((parts[2] ?? "").padEnd(exponent(), "0") || 0);
}

/** @param {number} amount minor units */
function major(amount) {
  const digits = exponent();
  return digits
    ? `${Math.floor(amount / 10 ** digits)}.${String(amount % 10 ** digits).padStart(digits, "0")}`
    : String(amount);
}

/** A moment as a datetime-local field has it. @param {string} moment */
function local(moment) {
  const date = new Date(moment);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

/** @typedef {{rows: number, seatsPerRow: number, firstRow: number, firstSeat: number}} HallBlock */

/** Blocks of seats as a small picture; too large a hall has none. @param {SVGSVGElement} svg @param {HallBlock[]} blocks */
function draw(svg, blocks) {
  const seats = blocks.reduce((sum, block) => sum + block.rows * block.seatsPerRow, 0);
  const top = Math.min(...blocks.map((block) => block.firstRow));
  const height = Math.max(...blocks.map((block) => block.firstRow + block.rows)) - top;
  const left = Math.min(...blocks.map((block) => block.firstSeat));
  const width = Math.max(...blocks.map((block) => block.firstSeat + block.seatsPerRow)) - left;
  svg.replaceChildren();
  const fits = seats > 0 && seats <= PICTURE_SEATS_MAX && height <= PICTURE_ROWS_MAX && width <= 4 * PICTURE_ROWS_MAX;
  svg.toggleAttribute("hidden", !fits);
  if (!fits) return;
  svg.setAttribute("viewBox", `0 0 ${Math.max(width, 40)} ${height}`);
  svg.setAttribute("aria-label", `${plural(seats, "seat")} in ${plural(height, "row")}`);
  for (const block of blocks) {
    for (let row = 0; row < block.rows; row++) {
      for (let seat = 0; seat < block.seatsPerRow; seat++) {
        const mark = document.createElementNS(SVG, "rect");
        mark.setAttribute("x", String(block.firstSeat - left + seat + 0.15));
        mark.setAttribute("y", String(block.firstRow - top + row + 0.15));
        mark.setAttribute("width", "0.7");
        mark.setAttribute("height", "0.7");
        mark.setAttribute("rx", "0.2");
        svg.append(mark);
      }
    }
  }
}

class TicketType {
  /** @param {any} [kind] as the server has it; none: a new one */
  constructor(kind) {
    this.kind = kind ?? null;
    this.going = false;
    this.element = copy("type-template");
    if (this.kind) {
      this.field("ticketType").value = this.kind.ticketType;
      this.field("price").value = major(this.kind.price);
      const words = /** @type {HTMLElement} */ (this.part("sold"));
      words.hidden = false;
      words.textContent = `${count(this.kind.bookedCount)} sold · ${count(this.kind.heldCount)} held · ${
        count(this.kind.availableCount)
      } free`;
    }
    this.button("remove-block").hidden = !this.kind;
    this.button("add-block").addEventListener("click", () => this.addBlock(false).focus());
    this.button("remove-block").addEventListener("click", () => this.addBlock(true).focus());
    this.button("remove").addEventListener("click", () => this.remove());
    $("types").append(this.element);
  }
  /** @param {string} name */
  part(name) {
    return /** @type {Element} */ (this.element.querySelector(`[data-f="${name}"]`));
  }
  /** @param {string} name */
  field(name) {
    return /** @type {HTMLInputElement} */ (this.part(name));
  }
  /** @param {string} name */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.element.querySelector(`[data-do="${name}"]`));
  }
  remove() {
    if (this.kind) {
      this.going = !this.going;
      this.element.classList.toggle("is-going", this.going);
      this.button("remove").textContent = this.going ? "Keep" : "Remove";
    } else {
      this.element.remove();
      types = types.filter((type) => type !== this);
    }
    sum();
  }
  /** @param {boolean} out seats to be taken out @param {Partial<HallBlock>} [block] */
  addBlock(out, block = {}) {
    const element = copy("block-template");
    element.classList.toggle("is-out", out);
    element.dataset.out = out ? "1" : "";
    /** @type {HTMLElement} */ (element.querySelector("legend")).textContent = out
      ? "Seats to take out"
      : this.kind
      ? "Seats to add"
      : "Seats";
    const last = this.blocks(false).at(-1) ?? this.kind?.blocks?.at(-1);
    const values = {
      rows: 1,
      seatsPerRow: last?.seatsPerRow ?? 10,
      firstRow: out || !last ? 1 : last.firstRow + last.rows,
      firstSeat: last?.firstSeat ?? 1,
      ...block,
    };
    for (const [name, value] of Object.entries(values)) {
      /** @type {HTMLInputElement} */ (element.querySelector(`[data-f="${name}"]`)).value = String(value);
    }
    element.querySelector('[data-do="drop"]')?.addEventListener("click", () => {
      element.remove();
      sum();
    });
    this.part("blocks").append(element);
    sum();
    return /** @type {HTMLInputElement} */ (element.querySelector("input"));
  }
  /** @param {boolean} out */
  elements(out) {
    return /** @type {HTMLElement[]} */ ([...this.part("blocks").children]).filter((element) =>
      Boolean(element.dataset.out) === out
    );
  }
  /** @param {boolean} out @returns {HallBlock[]} */
  blocks(out) {
    return this.elements(out).map((element) => {
      /** @type {any} */
      const block = {};
      for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (element.querySelectorAll("input"))) {
        block[field.dataset.f ?? ""] = field.valueAsNumber;
      }
      return block;
    });
  }
  /** Name the fields by where they stand in what is sent. @param {string} path @param {string} [seats] @param {string} [out] */
  place(path, seats = `${path}.blocks`, out = "") {
    this.element.dataset.path = path;
    this.field("ticketType").dataset.path = `${path}.ticketType`;
    this.field("price").dataset.path = `${path}.price`;
    this.elements(false).forEach((element, index) => (element.dataset.path = `${seats}[${index}]`));
    this.elements(true).forEach((element, index) => (element.dataset.path = `${out}[${index}]`));
  }
  get seats() {
    const change = (/** @type {HallBlock[]} */ blocks) =>
      blocks.reduce((total, block) => total + (block.rows * block.seatsPerRow || 0), 0);
    return this.going ? 0 : (this.kind?.quantity ?? 0) + change(this.blocks(false)) - change(this.blocks(true));
  }
  get price() {
    return minor(this.field("price").value);
  }
  draw() {
    this.part("quantity").textContent = count(this.seats);
    this.part("quantity-words").textContent = this.seats === 1 ? "seat" : "seats";
    draw(/** @type {SVGSVGElement} */ (this.part("picture")), [...(this.kind?.blocks ?? []), ...this.blocks(false)]);
  }
}

function sum() {
  for (const type of types) type.draw();
  const seats = types.reduce((total, type) => total + type.seats, 0);
  const worth = types.reduce((total, type) => total + type.seats * type.price, 0);
  let words = plural(seats, "seat");
  if (Number.isFinite(worth) && /^[A-Z]{3}$/.test(currency())) {
    words += ` · ${moneyIn(currency(), exponent())(worth)} if all are sold`;
  }
  $("summary").textContent = words;
}

/** @param {string} name */
function fact(name) {
  const value = input(name).value.trim();
  if (name === "date" || name === "onSaleAt") return value ? new Date(value).toISOString() : "";
  return name === "seatsPerFanMax" ? Number(value) : name === "currency" ? currency() : value;
}

async function newEvent() {
  types.forEach((type, index) => type.place(`$.ticketTypes[${index}]`));
  const csv = /** @type {HTMLInputElement} */ ($("csv")).files?.[0];
  return {
    ...Object.fromEntries(FACTS.map((name) => [name, fact(name)])),
    ticketTypes: types.map((type) => ({
      ticketType: type.field("ticketType").value,
      price: type.price,
      blocks: type.blocks(false),
    })),
    csv: csv ? await csv.text() : "",
    room: Object.fromEntries(
      ROOM.map((name) => [name, name === "state" ? input(name).value : input(name).valueAsNumber]),
    ),
    why: input("why").value.trim(),
  };
}

function changes() {
  /** @type {Record<string, any>} */
  const change = { revision: known.revision, why: input("why").value.trim() };
  for (const name of FACTS) {
    const isTime = name === "date" || name === "onSaleAt";
    // A field tells minutes: a time with seconds that nobody touched is left as it is.
    const same = isTime ? input(name).value === local(known[name]) : fact(name) === known[name];
    if (!same) change[name] = fact(name);
  }
  const kept = types.filter((type) => type.kind && !type.going);
  const changed = kept.filter((type) =>
    type.field("ticketType").value.trim() !== type.kind.ticketType || type.price !== type.kind.price
  );
  const fresh = types.filter((type) => !type.kind);
  const going = types.filter((type) => type.going);
  const added = kept.filter((type) => type.elements(false).length);
  const removed = kept.filter((type) => type.elements(true).length);
  change.ticketTypes = changed.map((type) => ({
    ticketTypeId: type.kind.ticketTypeId,
    ticketType: type.field("ticketType").value,
    price: type.price,
  }));
  change.addTicketTypes = fresh.map((type) => ({
    ticketType: type.field("ticketType").value,
    price: type.price,
    blocks: type.blocks(false),
  }));
  change.removeTicketTypes = going.map((type) => type.kind.ticketTypeId);
  change.addSeats = added.map((type) => ({ ticketTypeId: type.kind.ticketTypeId, blocks: type.blocks(false) }));
  change.removeSeats = removed.map((type) => ({ ticketTypeId: type.kind.ticketTypeId, blocks: type.blocks(true) }));
  kept.forEach((type) =>
    type.place(
      `$.ticketTypes[${changed.indexOf(type)}]`,
      `$.addSeats[${added.indexOf(type)}].blocks`,
      `$.removeSeats[${removed.indexOf(type)}].blocks`,
    )
  );
  going.forEach((type, index) => type.place(`$.removeTicketTypes[${index}]`));
  fresh.forEach((type, index) => type.place(`$.addTicketTypes[${index}]`));
  return change;
}

/** Where a fault is shown: at its field, or at the nearest part around it. @param {string} path */
function placeOf(path) {
  for (let at = path; at.length > 1; at = at.replace(/(\.[^.[\]]+|\[\d+\])$/, "")) {
    const place = /** @type {HTMLElement | null} */ (form.querySelector(`[data-path="${CSS.escape(at)}"]`));
    if (place) return place;
    if (/^\$\.(add|remove)Seats\[\d+\]$/.test(at)) {
      return /** @type {HTMLElement | null} */ (form.querySelector(`[data-path="${CSS.escape(`${at}.blocks[0]`)}"]`));
    }
    if (!/[.[]/.test(at.slice(1))) break;
  }
  return null;
}

function forgetFaults() {
  say("");
  for (const fault of form.querySelectorAll(".fault")) fault.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

/** @param {string} title @param {{path: string, message: string, line?: number}[]} faults */
function showFaults(title, faults) {
  const lines = faults.map((fault, index) => {
    const words = fault.line ? `Line ${fault.line}: ${fault.message}` : fault.message;
    const place = placeOf(fault.path);
    const item = document.createElement("li");
    const label = place?.matches("input, select") ? place.closest("label")?.querySelector("span")?.textContent : "";
    item.textContent = label ? `${label}: ${words}` : words;
    if (place) {
      const note = document.createElement("p");
      note.className = "fault";
      note.id = `fault-${index}`;
      note.textContent = words;
      const field = place.matches("input, select") ? place : place.querySelector("input");
      if (place.matches("input, select")) place.after(note);
      else place.append(note);
      field?.setAttribute("aria-invalid", "true");
      field?.setAttribute("aria-describedby", note.id);
    }
    return item;
  });
  say(title, lines);
  const first = /** @type {HTMLElement | null} */ (form.querySelector("[aria-invalid]"));
  if (first) first.focus();
  else $("message").focus();
}

/** Empty and ill-formed fields, as faults. */
function unfilled() {
  /** @type {{path: string, message: string}[]} */
  const faults = [];
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("input, select"))) {
    const path = field.dataset.path ?? /** @type {HTMLElement | null} */ (field.closest("[data-path]"))?.dataset.path;
    if (path === undefined) continue;
    if (field.dataset.f === "price" && field.value && Number.isNaN(minor(field.value))) {
      faults.push({ path, message: `a price is a number with at most ${exponent()} digits after the point` });
    } else if (!field.checkValidity()) faults.push({ path, message: field.validationMessage });
  }
  return faults;
}

/** @param {any} error */
function refuse(error) {
  if (!(error instanceof Problem)) throw error;
  if (signedOut(error)) return enter(begin);
  if (error.code === "conflict") {
    const lines = (error.body.changes ?? []).map((/** @type {any} */ one) =>
      Object.assign(document.createElement("li"), {
        textContent: `${one.operator}: ${LOGGED[one.field] ?? one.field.replaceAll("_", " ")} from “${
          logged(one.field, one.from)
        }” to “${logged(one.field, one.to)}”`,
      })
    );
    return say(
      "Somebody else changed this event meanwhile. Nothing of yours was saved; reload to go on from what it is now.",
      lines,
    );
  }
  showFaults("Nothing was saved.", error.body.errors ?? [{ path: "$", message: error.message }]);
}

/** @param {boolean} dry */
async function send(dry) {
  input("currency").value = currency();
  const body = known ? changes() : await newEvent();
  forgetFaults();
  const faults = unfilled();
  if (faults.length) return showFaults("Please look at these again.", faults);
  const path = known ? `/api/ops/events/${known.eventId}` : "/api/ops/events";
  const buttons = /** @type {HTMLButtonElement[]} */ ([$("check"), $("save")]);
  for (const button of buttons) button.disabled = true;
  try {
    const answer = await call(known ? "PATCH" : "POST", dry ? `${path}?dryRun=true` : path, { body, patience: 60 });
    if (dry && !answer.valid) showFaults("This would not be saved.", answer.faults);
    else if (dry) {
      say(
        `All is well: ${
          plural(
            answer.event.ticketTypes.reduce(
              (/** @type {number} */ total, /** @type {any} */ kind) => total + kind.quantity,
              0,
            ),
            "seat",
          )
        }. Nothing is saved yet.`,
        [],
        true,
      );
    } else if (known) {
      show(answer);
      input("why").value = "";
      await showLog();
      say("Saved. Every page shows it within a second.", [], true);
    } else location.assign(`/ops/events/${answer.eventId}?made`);
  } catch (error) {
    await refuse(error);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** @param {any} event */
function show(event) {
  known = event;
  $("heading").textContent = event.name;
  document.title = `${event.name} · Console · Admit One`;
  for (const name of FACTS) {
    input(name).value = name === "date" || name === "onSaleAt" ? local(event[name]) : String(event[name]);
  }
  $("types").replaceChildren();
  types = [];
  for (const kind of event.ticketTypes) types.push(new TicketType(kind));
  sum();
}

/** @type {Record<string, string>} */
const LOGGED = { date: "begins", on_sale_at: "on sale from", seats_per_fan_max: "seats per fan" };

/** A value of the log as an operator reads it: prices as on the form, times by the clock here. @param {string} field @param {string} value */
function logged(field, value) {
  if (/^price of /.test(field) && /^\d+$/.test(value)) return major(Number(value));
  if (field === "ticket_types") return value.replace(/ at (\d+)$/, (_, price) => ` at ${major(Number(price))}`);
  const moment = field === "date" || field === "on_sale_at" ? new Date(value) : null;
  return moment && !Number.isNaN(moment.getTime()) ? LOG_TIME.format(moment) : value;
}
const LOG_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

async function showLog() {
  const { entries } = await call("GET", `/api/ops/events/${known.eventId}/log`);
  $("log-none").hidden = entries.length > 0;
  $("log").replaceChildren(
    ...entries.map((/** @type {any} */ entry) => {
      const item = document.createElement("li");
      const what = document.createElement("div");
      const field = LOGGED[entry.field] ?? entry.field.replaceAll("_", " ");
      const [from, to] = [logged(entry.field, entry.from), logged(entry.field, entry.to)];
      what.textContent = !from ? `${field}: ${to}` : !to ? `${field}: ${from}, removed` : `${field}: ${from} → ${to}`;
      const by = document.createElement("div");
      by.className = "by";
      by.textContent = `${LOG_TIME.format(new Date(entry.at))} · ${entry.operator}${
        entry.why ? ` · ${entry.why}` : ""
      }`;
      item.append(what, by);
      return item;
    }),
  );
}

async function begin() {
  if (data.eventId !== null) {
    show(await call("GET", `/api/ops/events/${data.eventId}`));
    await showLog();
  } else {
    await call("GET", "/api/ops/events?limit=1");
    if (!types.length) {
      const type = new TicketType();
      types.push(type);
      type.addBlock(false, { rows: 10, seatsPerRow: 10 });
    }
    sum();
  }
}

/** @param {boolean} dry */
async function sendCsv(dry) {
  const file = /** @type {HTMLInputElement} */ ($("csv")).files?.[0];
  if (!file || !known) return;
  forgetFaults();
  const said = $("csv-said");
  try {
    const response = await fetch(`/api/ops/events/${known.eventId}/seats${dry ? "?dryRun=true" : ""}`, {
      method: "POST",
      body: file,
      headers: { "Content-Type": "text/csv", Accept: "application/json" },
    });
    const answer = await response.json();
    if (!response.ok) throw new Problem(response.status, answer);
    const before = types.reduce((total, type) => total + (type.kind?.quantity ?? 0), 0);
    if (dry) {
      $("csv-add").hidden = !answer.valid;
      if (!answer.valid) {
        // Or the same file, once mended, would not be a change.
        /** @type {HTMLInputElement} */ ($("csv")).value = "";
        return showFaults(
          "This spreadsheet cannot be taken.",
          answer.faults.map((/** @type {any} */ fault) => ({ ...fault, path: "$.csv" })),
        );
      }
      const after = answer.event.ticketTypes.reduce(
        (/** @type {number} */ total, /** @type {any} */ kind) => total + kind.quantity,
        0,
      );
      said.textContent = `${plural(after - before, "new seat")} in it.`;
    } else {
      show(answer);
      await showLog();
      $("csv-add").hidden = true;
      said.textContent = "";
      /** @type {HTMLInputElement} */ ($("csv")).value = "";
      say("The seats are there. Every page shows them within a second.", [], true);
    }
  } catch (error) {
    await refuse(error);
  }
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  send(false);
});
form.addEventListener("input", sum);
$("check").addEventListener("click", () => send(true));
$("add-type").addEventListener("click", () => {
  const type = new TicketType();
  types.push(type);
  type.addBlock(false, { rows: 10, seatsPerRow: 10, firstRow: 1 });
  type.field("ticketType").focus();
});
$("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (data.eventId !== null) {
  $("csv").addEventListener("change", () => sendCsv(true));
  $("csv-add").addEventListener("click", () => sendCsv(false));
}
watchSignIn(() => enter(begin));
await enter(begin);
if (location.search === "?made" && known) {
  say("The event is made, and on the fans’ list.", [], true);
  history.replaceState(null, "", location.pathname);
}
