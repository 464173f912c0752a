// @ts-check
// The seat plan: an SVG with one tab stop, moved in by arrow keys, and kept up to date by live changes.
import { count } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const PITCH = 32;
const MARGIN = 26; // room for row numbers
const MARKS = { free: "", mine: "M8 14.5l4 4 8-9", reserved: "M9 14h10", booked: "M9 9l10 10M19 9L9 19" };
const WORDS = { free: "available", mine: "picked", reserved: "held by somebody", booked: "sold" };
const OWN = "held by you";

/** @typedef {"free" | "reserved" | "booked"} Status */
/** @typedef {{type: number, row: number, seat: number}} Seat */
/** @typedef {[number, number, number, "available" | "reserved" | "booked"]} SeatChange ticket type, row, seat, and what it is now */
/** @typedef {{rowNumber: number, seatNumbers: number[]}} Row */
/** @typedef {{type: number, name: string, rows: Row[], size: number, free: number, chip?: HTMLElement}} Block */

/** @param {number} type @param {number} row @param {number} seat */
export const keyOf = (type, row, seat) => `${type}/${row}/${seat}`;
/** @param {string} key @returns {Seat} */
export function seatOf(key) {
  const [type, row, seat] = key.split("/").map(Number);
  return { type, row, seat };
}
/** @param {string} name @param {Record<string, string | number>} attributes @param {...(Node | string)} inside */
function svg(name, attributes, ...inside) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...inside);
  return element;
}

export class SeatMap {
  /**
   * @param {{box: HTMLElement, chips: HTMLElement, tickets: Map<number, {ticketType: string, price: number}>,
   *   money: (amount: number) => string, seatsMax: number, drawnMax: number,
   *   onPick: (keys: string[]) => void, onLost: (keys: string[]) => void, onLimit: () => void, onStock: () => void}} options
   */
  constructor(options) {
    this.options = options;
    /** @type {Map<string, Status>} seats that are not free */
    this.taken = new Map();
    /** @type {Set<string>} */
    this.picked = new Set();
    /** @type {Set<string>} seats that this fan holds, which are never free to the fan either */
    this.own = new Set();
    /** @type {Map<string, Element>} seats drawn */
    this.drawn = new Map();
    /** @type {Block[]} */
    this.blocks = [];
    /** @type {Map<string, Block>} */
    this.blockOfRow = new Map();
    /** @type {Block[]} */
    this.shown = [];
    /** @type {string[][]} keys drawn, row by row from the stage */
    this.grid = [];
    options.box.addEventListener("click", (event) => {
      const key = /** @type {Element} */ (event.target).closest("[data-key]")?.getAttribute("data-key");
      if (key) {
        this.focus(key, false);
        this.toggle(key);
      }
    });
    options.box.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** The hall as it is built. @param {{ticketTypeId: number, rows: Row[]}[]} sections */
  build(sections) {
    const { tickets, drawnMax } = this.options;
    const price = (/** @type {number} */ type) => tickets.get(type)?.price ?? 0;
    const sized = [...sections].sort((a, b) => price(b.ticketTypeId) - price(a.ticketTypeId));
    for (const { ticketTypeId: type, rows } of sized) {
      const name = tickets.get(type)?.ticketType ?? `Type ${type}`;
      /** @type {Block | null} */
      let block = null;
      for (const row of rows) {
        const size = row.seatNumbers.length;
        if (!block || block.size + size > drawnMax) {
          this.blocks.push(block = { type, name, rows: [], size: 0, free: 0 });
        }
        block.rows.push(row);
        block.size += size;
        block.free += size;
        this.blockOfRow.set(`${type}/${row.rowNumber}`, block);
      }
    }
    this.whole = this.blocks.reduce((sum, block) => sum + block.size, 0) <= drawnMax;
    this.buildChips();
  }

  buildChips() {
    const { chips } = this.options;
    const choices = this.whole && this.blocks.length > 1 ? [null, ...this.blocks] : this.blocks;
    chips.replaceChildren();
    chips.hidden = choices.length < 2;
    for (const block of choices) {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "chip";
      chip.setAttribute("aria-pressed", "false");
      const split = block && this.blocks.filter((other) => other.type === block.type).length > 1;
      const rows = split ? `, rows ${block.rows[0].rowNumber}–${block.rows[block.rows.length - 1].rowNumber}` : "";
      chip.dataset.name = block ? block.name + rows : "All";
      if (block) block.chip = chip;
      chip.addEventListener("click", () => {
        for (const other of chips.children) other.setAttribute("aria-pressed", String(other === chip));
        this.show(block ? [block] : this.blocks);
      });
      chips.append(chip);
    }
    this.label();
    if (this.whole) {
      chips.firstElementChild?.setAttribute("aria-pressed", "true");
      this.show(this.blocks);
    } else {
      const hint = document.createElement("p");
      hint.className = "muted map-wait";
      hint.textContent = "This hall is large: choose a part of it above.";
      this.options.box.replaceChildren(hint);
    }
  }

  label() {
    for (const chip of this.options.chips.children) {
      const block = this.blocks.find((one) => one.chip === chip);
      chip.textContent = /** @type {HTMLElement} */ (chip).dataset.name + (block ? ` · ${count(block.free)} free` : "");
    }
  }

  /** @param {Block[]} blocks */
  show(blocks) {
    this.shown = blocks;
    this.drawn.clear();
    this.grid = [];
    const { box, tickets, money } = this.options;
    let columns = 0;
    for (const block of blocks) for (const row of block.rows) columns = Math.max(columns, span(row));
    const width = columns * PITCH + 2 * MARGIN;
    const root = svg("svg", {
      role: "listbox",
      "aria-multiselectable": "true",
      "aria-label": "Seat plan",
      "aria-describedby": "map-help",
    });
    root.append(
      svg("path", { class: "podium", d: `M${width * 0.2} 26Q${width / 2} 8 ${width * 0.8} 26` }),
      svg("text", { class: "podium-name", x: width / 2, y: 34, "aria-hidden": "true" }, "Stage"),
    );
    let y = 44;
    for (const block of blocks) {
      const label = `${block.name}, ${money(tickets.get(block.type)?.price ?? 0)}`;
      const group = svg(
        "g",
        { role: "group", "aria-label": label },
        svg("text", { class: "section-name", x: width / 2, y: y + 16, "aria-hidden": "true" }, label),
      );
      y += 26;
      for (const row of block.rows) {
        const { rowNumber, seatNumbers } = row;
        const least = Math.min(...seatNumbers);
        const even = span(row) === seatNumbers.length &&
          seatNumbers[seatNumbers.length - 1] - least + 1 !== seatNumbers.length;
        const left = MARGIN + ((columns - span(row)) * PITCH) / 2;
        for (const x of [left - 13, left + span(row) * PITCH + 13]) {
          group.append(svg("text", { class: "row-name", x, y: y + 20, "aria-hidden": "true" }, String(rowNumber)));
        }
        this.grid.push(seatNumbers.map((seat, index) => {
          const key = keyOf(block.type, rowNumber, seat);
          const at = left + (even ? index : seat - least) * PITCH + 2;
          const element = svg(
            "g",
            { role: "option", "data-key": key, tabindex: -1, transform: `translate(${at} ${y})` },
            svg("rect", { x: 2, y: 2, width: 24, height: 24, rx: 7 }),
            svg("text", { x: 14, y: 18.2 }, String(seat)),
            svg("path", {}),
          );
          this.drawn.set(key, element);
          this.paint(key);
          group.append(element);
          return key;
        }));
        y += PITCH;
      }
      y += 14;
      root.append(group);
    }
    root.setAttribute("viewBox", `0 0 ${width} ${y}`);
    root.style.minWidth = `${width * 0.8}px`; // a seat is 25 px then, still a target for a finger
    root.style.maxWidth = `${Math.max(width * 1.35, 320)}px`;
    box.replaceChildren(root);
    box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;
    const first = this.grid.flat().find((key) => !this.taken.has(key)) ?? this.grid[0]?.[0];
    if (first) this.drawn.get(first)?.setAttribute("tabindex", "0");
  }

  /** @param {string} key */
  nameOf(key) {
    const { type, row, seat } = seatOf(key);
    return `${this.options.tickets.get(type)?.ticketType ?? "Seat"} row ${row} seat ${seat}`;
  }

  /** @param {string} key */
  priceOf(key) {
    return this.options.tickets.get(seatOf(key).type)?.price ?? 0;
  }

  /** @param {string} key */
  paint(key) {
    const element = this.drawn.get(key);
    if (!element) return;
    const own = this.own.has(key);
    const state = own || this.picked.has(key) ? "mine" : (this.taken.get(key) ?? "free");
    element.setAttribute("class", `seat ${state}`);
    element.setAttribute(
      "aria-label",
      `${this.nameOf(key)}, ${this.options.money(this.priceOf(key))}, ${own ? OWN : WORDS[state]}`,
    );
    element.setAttribute("aria-selected", String(state === "mine"));
    if (own || state === "reserved" || state === "booked") element.setAttribute("aria-disabled", "true");
    else element.removeAttribute("aria-disabled");
    element.lastElementChild?.setAttribute("d", MARKS[state]);
  }

  /** Take over all seats that are not free. @param {[number, number, number, "reserved" | "booked"][]} taken */
  snapshot(taken) {
    const before = this.taken;
    this.taken = new Map(taken.map(([type, row, seat, status]) => [keyOf(type, row, seat), status]));
    for (const block of this.blocks) block.free = block.size;
    for (const key of this.taken.keys()) this.tally(key, -1);
    const lost = [...this.picked].filter((key) => this.taken.has(key));
    for (const key of new Set([...before.keys(), ...this.taken.keys()])) this.paint(key);
    this.changed(lost);
  }

  /** All seats that are not free, as `snapshot` takes them. @returns {[number, number, number, Status][]} */
  takenSeats() {
    return [...this.taken].map(([key, status]) => {
      const { type, row, seat } = seatOf(key);
      return [type, row, seat, status];
    });
  }

  /** @param {Set<string>} keys the seats that this fan holds */
  showOwn(keys) {
    const before = this.own;
    this.own = keys;
    for (const key of new Set([...before, ...keys])) this.paint(key);
    const held = [...this.picked].filter((key) => keys.has(key));
    if (held.length) this.drop(held);
  }

  /** Take over changes. @param {SeatChange[]} changes */
  change(changes) {
    /** @type {string[]} */
    const lost = [];
    for (const [type, row, seat, status] of changes) {
      const key = keyOf(type, row, seat);
      const was = this.taken.has(key);
      if (status === "available") this.taken.delete(key);
      else this.taken.set(key, status);
      if (was !== this.taken.has(key)) this.tally(key, was ? 1 : -1);
      if (status !== "available" && this.picked.has(key)) lost.push(key);
      this.paint(key);
    }
    this.changed(lost);
  }

  /** @param {string} key @param {number} by */
  tally(key, by) {
    const { type, row } = seatOf(key);
    const block = this.blockOfRow.get(`${type}/${row}`);
    if (block) block.free += by;
  }

  /** @param {string[]} lost */
  changed(lost) {
    if (lost.length) {
      this.drop(lost);
      this.options.onLost(lost);
    }
    this.label();
    this.options.onStock();
  }

  /** Unpick seats. @param {string[]} keys */
  drop(keys) {
    for (const key of keys) {
      this.picked.delete(key);
      this.paint(key);
    }
    this.options.onPick([...this.picked]);
  }

  /** Free and taken seats of a ticket type. @param {number} type */
  stock(type) {
    let free = 0, held = 0;
    for (const block of this.blocks) if (block.type === type) free += block.free;
    for (const [key, status] of this.taken) if (status === "reserved" && key.startsWith(`${type}/`)) held++;
    return { available: free, held };
  }

  /** @param {string} key */
  toggle(key) {
    if (this.taken.has(key) || this.own.has(key)) return;
    if (this.picked.has(key)) this.picked.delete(key);
    else if (this.picked.size >= this.options.seatsMax) return this.options.onLimit();
    else this.picked.add(key);
    this.paint(key);
    this.options.onPick([...this.picked]);
  }

  /** @param {string} key @param {boolean} [really] move the keyboard's focus too */
  focus(key, really = true) {
    this.options.box.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    const element = /** @type {SVGElement | undefined} */ (this.drawn.get(key));
    element?.setAttribute("tabindex", "0");
    if (really) element?.focus();
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const key = /** @type {Element} */ (event.target).getAttribute("data-key");
    if (!key || event.altKey || event.ctrlKey || event.metaKey) return;
    const y = this.grid.findIndex((row) => row.includes(key));
    const row = this.grid[y];
    const x = row.indexOf(key);
    let next;
    if (event.key === "ArrowRight") next = row[x + 1];
    else if (event.key === "ArrowLeft") next = row[x - 1];
    else if (event.key === "Home") next = row[0];
    else if (event.key === "End") next = row[row.length - 1];
    else if (event.key === "ArrowUp") next = nearest(this.grid[y - 1], x / row.length);
    else if (event.key === "ArrowDown") next = nearest(this.grid[y + 1], x / row.length);
    else if (event.key === "Enter" || event.key === " ") this.toggle(key);
    else return;
    event.preventDefault();
    if (next) this.focus(next);
  }
}

/** Columns a row takes; gaps in its numbers are aisles, unless they are too wide to be. @param {Row} row */
function span({ seatNumbers }) {
  const wide = Math.max(...seatNumbers) - Math.min(...seatNumbers) + 1;
  return wide <= 2 * seatNumbers.length ? wide : seatNumbers.length;
}

/** @param {string[] | undefined} row @param {number} part how far along, 0 to 1 */
const nearest = (row, part) => row?.[Math.min(row.length - 1, Math.round(part * row.length))];
