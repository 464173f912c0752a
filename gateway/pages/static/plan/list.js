// @ts-check
// The seats as a list, for the keyboard and for readers of the screen. It lies unseen over the drawn seats, each of its
// entries where its seat is, so that a finger that explores the screen finds it there.
import { ARROWS, neighbour } from "./geometry.js";
import { ACCESSIBLE, COMPANION, RESTRICTED } from "./hall.js";
import { make } from "../dom.js";
import { t } from "../text.js";

/** @import { Point, Rect, Size, View } from "./geometry.js" */
/** @import { Hall, Row, Seat } from "./hall.js" */

const SVG = "http://www.w3.org/2000/svg";
const SIDE = 9;
const SLICE_MS = 6; // of a frame for making entries: a hall of thousands takes a phone a while
const AT_ONCE_MAX = 600;
const WORDS = { free: t("free"), mine: t("picked"), reserved: t("in someone’s basket"), booked: t("sold") };
const OWN = t("in your basket");

/** @param {string} name @param {Record<string, string | number>} attributes */
export function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return /** @type {SVGElement} */ (element);
}

export class SeatList {
  /**
   * @param {HTMLElement} box
   * @param {{hall: Hall, rows: Row[], bounds: Rect, nameOf: (seat: Seat) => string, money: (amount: number) => string,
   *   onPick: (seat: Seat) => void, onFocus: (seat: Seat | null, byKeyboard: boolean) => void}} options
   */
  constructor(box, options) {
    this.options = options;
    const { left, top, right, bottom } = options.bounds;
    const [width, height] = [right - left, bottom - top];
    this.root = svg("svg", {
      class: "seat-list",
      role: "listbox",
      "aria-multiselectable": "true",
      "aria-label": t("Seat map"),
      "aria-describedby": "map-help",
      viewBox: `${left} ${top} ${width} ${height}`,
      width,
      height,
    });
    // Moved as one layer, which the browser neither lays out nor paints anew.
    this.layer = make("div", "", "seat-layer");
    this.layer.append(this.root);
    /** @type {Map<string, SVGElement>} */
    this.entries = new Map();
    /** @type {string | null} the one entry that the tab key comes to */
    this.current = null;
    this.timer = 0;
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.root.addEventListener("focusin", ({ target }) => {
      const entry = /** @type {Element} */ (target);
      const seat = this.seatOf(entry);
      if (!seat) return;
      this.turnTo(seat.key);
      options.onFocus(seat, entry.matches(":focus-visible"));
    });
    this.root.addEventListener("focusout", () => options.onFocus(null, false));
    box.append(this.layer);
    this.rows = [...options.rows];
    const seats = this.rows.reduce((sum, row) => sum + row.seats.length, 0);
    this.make(seats <= AT_ONCE_MAX ? Infinity : SLICE_MS);
  }

  /** Make entries row by row for so long; the rest in the frames to come. @param {number} sliceMs */
  make(sliceMs) {
    const until = performance.now() + sliceMs;
    while (this.rows.length && performance.now() < until) this.makeRow(/** @type {Row} */ (this.rows.shift()));
    if (this.rows.length) this.timer = setTimeout(() => this.make(SLICE_MS), 16);
  }

  /** @param {Row} row */
  makeRow({ label, section, seats, type }) {
    const price = this.options.money(this.options.hall.tickets.get(type)?.price ?? 0);
    const group = svg("g", {
      role: "group",
      "aria-label": t("{section}, row {row}, {price}", { section: section.name, row: label, price }),
    });
    for (const { key, x, y } of seats) {
      const entry = svg("rect", {
        role: "option",
        "data-key": key,
        tabindex: key === this.current ? 0 : -1,
        x: x - SIDE / 2,
        y: y - SIDE / 2,
        width: SIDE,
        height: SIDE,
      });
      this.entries.set(key, entry);
      this.paint(key);
      group.append(entry);
    }
    this.root.append(group);
  }

  /** @param {Element} entry */
  seatOf(entry) {
    return this.options.hall.seats.get(entry.getAttribute("data-key") ?? "");
  }

  /** @param {string} key */
  paint(key) {
    const entry = this.entries.get(key);
    const { hall } = this.options;
    const seat = hall.seats.get(key);
    if (!entry || !seat) return;
    const status = hall.statusOf(key);
    entry.setAttribute("class", `seat ${status}`);
    entry.setAttribute("aria-label", this.words(seat));
    entry.setAttribute("aria-selected", String(status === "mine"));
    if (hall.isFree(key)) entry.removeAttribute("aria-disabled");
    else entry.setAttribute("aria-disabled", "true");
  }

  /** A seat, its price, what is special about it, and whether one can have it. @param {Seat} seat */
  words(seat) {
    const { hall, money, nameOf } = this.options;
    const signs = [
      seat.flags & ACCESSIBLE ? t("wheelchair space") : "",
      seat.flags & COMPANION ? t("for a companion") : "",
      seat.flags & RESTRICTED ? t("restricted view") : "",
    ];
    const state = hall.own.has(seat.key) ? OWN : WORDS[hall.statusOf(seat.key)];
    return [nameOf(seat), money(hall.priceOf(seat)), ...signs, state].filter(Boolean).join(", ");
  }

  /** Lay the entries over the drawn seats. @param {View} view @param {Size} size */
  lay(view, { width, height }) {
    const { left, top } = this.options.bounds;
    const x = (left - view.x) * view.scale + width / 2;
    const y = (top - view.y) * view.scale + height / 2;
    this.layer.style.transform = `translate(${x}px, ${y}px) scale(${view.scale})`;
  }

  /** The tab key comes to this seat. @param {string} key */
  turnTo(key) {
    if (this.current) this.entries.get(this.current)?.setAttribute("tabindex", "-1");
    this.current = key;
    this.entries.get(key)?.setAttribute("tabindex", "0");
  }

  /** @param {string} key */
  focus(key) {
    this.turnTo(key);
    this.entries.get(key)?.focus({ preventScroll: true });
  }

  get hasFocus() {
    return this.root.contains(document.activeElement);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const seat = this.seatOf(/** @type {Element} */ (event.target));
    if (!seat || event.altKey || event.ctrlKey || event.metaKey) return;
    const { seats } = seat.of;
    let next;
    if (event.key in ARROWS) next = this.beside(seat, ARROWS[event.key]);
    else if (event.key === "Home") next = seats[0];
    else if (event.key === "End") next = seats[seats.length - 1];
    else if (event.key === "Enter" || event.key === " ") this.options.onPick(seat);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (next) this.focus(next.key);
  }

  /** @param {Seat} seat @param {Point} direction */
  beside(seat, [dx, dy]) {
    // Along its row a seat's neighbour is the next one in the row, also across an aisle.
    const along = [seat.of.seats[seat.at + 1], seat.of.seats[seat.at - 1]].find((next) => {
      if (!next) return false;
      const [x, y] = [next.x - seat.x, next.y - seat.y];
      return x * dx + y * dy > 0.7 * Math.hypot(x, y);
    });
    return along ?? neighbour(this.seats(), seat, [dx, dy]);
  }

  *seats() {
    for (const row of this.options.rows) yield* row.seats;
  }

  close() {
    clearTimeout(this.timer);
    this.layer.remove();
  }
}
