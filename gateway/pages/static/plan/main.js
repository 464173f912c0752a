// @ts-check
// The plan of a hall: all of it at once, where that can be seen; or an overview of its sections, and the seats of one.
// The event's page loads this script when the fan may choose seats, and finds the class in `globalThis.HallPlan`.
import {
  betterPick,
  boundsOf,
  fitView,
  grown,
  leftAlone,
  PITCH,
  pointsOf,
  seen,
  SpotIndex,
  toBox,
} from "./geometry.js";
import { ACCESSIBLE, COMPANION, Hall } from "./hall.js";
import { SeatList } from "./list.js";
import { Overview } from "./overview.js";
import { coloursOf, Painter, stepOf } from "./painter.js";
import { STEP, Viewport } from "./viewport.js";
import { $, inputOf, make, setText } from "../dom.js";
import { count, t } from "../text.js";
import { seatWords } from "../seat-words.js";

/** @import { PlanOverview, PlanSectionSeats } from "../../contract.d.ts" */
/** @import { Row, Seat, SeatChange, Section, Taken } from "./hall.js" */

const SEAT_PX = 40;
const TOUCH_PX = 44;
const TOUCHED_PX_MIN = 36; // A finger on a smaller seat zooms before it picks,
const CLICKED_PX_MIN = 12; // and so does a mouse.
const NEAR_PX = 22;
const ROOM = 2.6 * PITCH; // around the seats, for the names of rows
const EDGE_PX = 44; // A seat with the keyboard's focus is seen with so much around it.
const STOCK_MS = 250; // between two showings of what is left
const OVERVIEW_MS = 1000;
const COUNT_MS = 10_000; // between two questions how many seats sections have left
const MINI_PX = 96;
const FILTERED_MIN = 3; // Fewer prices need no slider.
const FOCUS_WORDS = /** @type {Record<string, string>} */ ({
  stage: t("Stage"),
  pitch: t("Pitch"),
  screen: t("Screen"),
});

/**
 * @typedef {object} Options
 * @property {string} path of the plan's overview in the API
 * @property {Map<number, {ticketType: string, price: number, quantity: number}>} tickets
 * @property {(amount: number) => string} money
 * @property {number} seatsMax that the fan may pick
 * @property {number} wholeMax the most seats of a hall that is shown as a whole
 * @property {<Answer>(path: string) => Promise<Answer>} load asks until it is answered; throws only where a plan is gone
 * @property {(keys: string[]) => void} onPick
 * @property {(keys: string[]) => void} onLost
 * @property {() => void} onLimit
 * @property {() => void} onStock
 * @property {(words: string) => void} announce
 * @property {() => Promise<boolean>} onProtected asks whether the fan needs a wheelchair space
 */

export class HallPlan {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.box = $("map");
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.coarse = matchMedia("(pointer: coarse)");
    /** @type {Hall | null} */
    this.hall = null;
    /** @type {Overview | null} */
    this.overview = null;
    /** @type {SeatList | null} */
    this.list = null;
    /** @type {{rows: Row[], index: SpotIndex<Seat>, names: {text: string, x: number, y: number}[]} | null} */
    this.shown = null;
    /** @type {Section | null} the one whose seats are shown, where not all are */
    this.section = null;
    /** @type {Map<number, Promise<void>>} */
    this.openings = new Map();
    /** @type {[number, number, number, Taken][] | null} what was heard before the plan came */
    this.early = null;
    /** @type {HTMLImageElement | null} what stands behind the seats */
    this.picture = null;
    /** @type {Set<string>} */
    this.picked = new Set();
    /** @type {Set<string>} */
    this.own = new Set();
    /** @type {string[]} */
    this.proposed = [];
    /** @type {string | null} */
    this.focused = null;
    this.priceMax = Infinity;
    this.accessibleOnly = false;
    this.needsAccess = false;
    this.cameFromOverview = false;
    this.stockTimer = 0;
    this.overviewTimer = 0;
    this.title = $("map-title").textContent ?? "";
    this.canvas = make("canvas");
    this.mini = make("canvas", "", "mini");
    this.tip = make("div", "", "tip");
    this.wait = make("p", t("Drawing the seats…"), "muted map-wait");
    this.tip.hidden = this.mini.hidden = true;
    for (const unheard of [this.canvas, this.mini, this.tip]) unheard.setAttribute("aria-hidden", "true");
    this.box.replaceChildren(this.canvas, this.wait, this.mini, this.tip);
    this.painter = new Painter(this.canvas, this.box);
    this.viewport = new Viewport(this.box, {
      calm: this.calm,
      onDraw: () => this.draw(),
      onTap: (x, y, tap) => this.onTap(x, y, tap),
    });
    this.listen();
  }

  listen() {
    addEventListener("popstate", () => this.follow());
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => {
        this.painter.colours = coloursOf(this.box);
        this.viewport.draw();
      });
    }
    $("zoom-in").addEventListener("click", () => this.viewport.zoom(STEP));
    $("zoom-out").addEventListener("click", () => this.viewport.zoom(1 / STEP));
    $("map-back").addEventListener("click", (event) => {
      if (!this.cameFromOverview) return;
      event.preventDefault();
      history.back();
    });
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.box.addEventListener("pointermove", (event) => this.onHover(event));
    this.box.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.box.addEventListener("pointerdown", ({ target }) => {
      const section = this.overview?.sectionOf(/** @type {Element} */ (target));
      if (section) this.open(section);
    });
    this.mini.addEventListener("pointerdown", (event) => event.stopPropagation());
    this.mini.addEventListener("click", (event) => {
      event.stopPropagation();
      const { bounds, view } = this.viewport;
      const part = MINI_PX / this.mini.clientWidth / this.miniScale();
      this.viewport.go({ ...view, x: bounds.left + event.offsetX * part, y: bounds.top + event.offsetY * part });
    });
    $("price-max").addEventListener("input", () => this.filter());
    $("accessible-only").addEventListener("change", () => this.filter());
    setInterval(() => this.countAnew(), COUNT_MS);
  }

  /** Load the plan, and show what the page's address names. */
  async load() {
    const { load, path, tickets, wholeMax } = this.options;
    /** @type {PlanOverview} */
    const plan = await load(path);
    const hall = new Hall(plan, tickets);
    const before = this.hall;
    hall.picked = this.picked;
    hall.own = this.own;
    this.openings.clear();
    this.hall = hall;
    this.isWhole = hall.sections.size < 2 || hall.size <= wholeMax;
    this.fillFilters();
    if (plan.picture) {
      this.picture = new Image();
      this.picture.onload = () => this.viewport.draw();
      this.picture.src = plan.picture.href;
    }
    const taken = this.early ?? before?.takenSeats();
    this.early = null;
    if (taken) hall.snapshot(taken);
    if (this.isWhole) {
      this.wait.hidden = false;
      await Promise.all([...hall.sections.values()].map((section) => this.open(section)));
      if (this.hall !== hall) return;
      this.showSeats([...hall.sections.values()]);
    } else await this.follow();
    this.tellStock();
  }

  get focusLabel() {
    const { focus, isGenerated } = this.hall?.plan ?? {};
    return isGenerated && focus ? FOCUS_WORDS[focus.kind] : (focus?.label ?? "");
  }

  /** Show what the page's address names: a section, or all of them. @param {boolean} [scrolls] to the map's top */
  async follow(scrolls = true) {
    const { hall } = this;
    if (!hall || this.isWhole) return;
    const named = /^#section=(\d+)$/.exec(location.hash);
    const section = named ? hall.sections.get(Number(named[1])) : undefined;
    if (section === this.section && (section ? this.list : this.overview)) return;
    const left = this.section;
    const hadFocus = this.box.contains(document.activeElement) || $("section-list").contains(document.activeElement);
    if (!section) return this.showOverview(hadFocus ? left : null);
    this.cameFromOverview = this.overview !== null;
    if (!section.drawn) {
      this.clear();
      this.wait.hidden = false;
      this.section = section;
      await this.open(section);
      if (this.hall !== hall || this.section !== section) return;
    }
    this.showSeats([section]);
    if (scrolls) this.scrollToMap();
    if (hadFocus && this.list?.current) this.list.focus(this.list.current);
    this.options.announce(`${section.name}, ${t("{n} left", { n: count(section.free) })}`);
  }

  scrollToMap() {
    const behavior = this.calm.matches ? "auto" : "smooth";
    this.box.closest(".map-panel")?.scrollIntoView({ block: "start", behavior });
  }

  /** Know a section's seats. @param {Section} section @returns {Promise<void>} */
  open(section) {
    const known = this.openings.get(section.sectionId);
    if (known) return known;
    const hall = /** @type {Hall} */ (this.hall);
    const opening = (async () => {
      try {
        /** @type {PlanSectionSeats} */
        const answer = await this.options.load(
          `${this.options.path}/${hall.plan.planVersion}/sections/${section.sectionId}`,
        );
        hall.open(answer);
      } catch {
        // The plan was changed since: it is loaded anew.
        if (this.hall === hall) await this.load();
      }
    })();
    this.openings.set(section.sectionId, opening);
    return opening;
  }

  clear() {
    this.overview?.close();
    this.list?.close();
    this.overview =
      this.list =
      this.shown =
      this.section =
      this.focused =
        null;
    this.tip.hidden = this.mini.hidden = true;
    this.wait.hidden = true;
  }

  /** @param {Section | null} left the section that the keyboard comes from */
  showOverview(left) {
    const { hall } = this;
    if (!hall) return;
    this.clear();
    this.offerFilters();
    setText($("map-title"), this.title);
    const { height, width } = hall.plan;
    this.setFrame("is-overview", width, height);
    this.overview = new Overview(this.box, $("sections"), {
      hall,
      money: this.options.money,
      focusLabel: this.focusLabel,
      suits: (section) => this.suitsSection(section),
    });
    const bounds = grown({ left: 0, top: 0, right: width, bottom: height }, width / 60);
    this.viewport.letsScroll = true;
    this.viewport.show(bounds, SEAT_PX / PITCH, null);
    if (left) this.overview.focus(left.sectionId);
  }

  /** @param {Section[]} sections */
  showSeats(sections) {
    const { hall } = this;
    if (!hall) return;
    this.clear();
    const rows = sections.flatMap((section) => section.drawn ?? []);
    const seats = rows.flatMap((row) => row.seats);
    const names = this.isWhole && sections.length > 1 ? sections.map((section) => this.nameAbove(section)) : [];
    this.shown = { rows, index: new SpotIndex(seats), names };
    const focus = this.isWhole ? hall.plan.focus.outline : [];
    const bounds = grown(boundsOf([...pointsOf(seats), ...focus]), ROOM);
    this.setFrame(this.isWhole ? "is-hall" : "is-section", bounds.right - bounds.left, bounds.bottom - bounds.top);
    this.section = this.isWhole ? null : sections[0];
    this.offerFilters();
    setText($("map-title"), this.section?.name ?? this.title);
    this.list = new SeatList(this.box, {
      hall,
      rows,
      bounds,
      nameOf: (seat) => this.wordsOf(seat),
      money: this.options.money,
      onPick: (seat) => this.toggle(seat),
      onFocus: (seat, byKeyboard) => this.onFocus(seat, byKeyboard),
    });
    const first = hall.firstFree(seats, (seat) => this.suits(seat)) ?? seats[0];
    if (first) this.list.turnTo(first.key);
    this.viewport.letsScroll = this.isWhole ?? false;
    const scale = this.seatPx / PITCH;
    this.viewport.show(bounds, scale, this.isWhole || !first ? null : { x: first.x, y: first.y, scale });
  }

  get seatPx() {
    return this.coarse.matches ? TOUCH_PX : SEAT_PX;
  }

  /** @param {Section} section */
  nameAbove({ drawn, name, ticketTypeIds, priceMax, priceMin }) {
    const { left, right, top } = boundsOf(pointsOf((drawn ?? []).flatMap(({ seats }) => seats)));
    const price = priceMin === priceMax && ticketTypeIds.length ? `, ${this.options.money(priceMin)}` : "";
    return { text: name + price, x: (left + right) / 2, y: top - 1.15 * PITCH };
  }

  /** @param {string} name @param {number} width @param {number} height */
  setFrame(name, width, height) {
    this.box.classList.remove("is-overview", "is-section", "is-hall");
    this.box.classList.add(name);
    this.box.style.aspectRatio = name === "is-section" ? "" : `${width} / ${height}`;
    this.box.closest(".map-panel")?.classList.toggle("of-section", name === "is-section");
    $("map-back").hidden = name !== "is-section";
    $("section-list").hidden = name !== "is-overview";
  }

  draw() {
    const { hall, viewport: { size, view } } = this;
    if (this.overview) {
      this.painter.fit(size);
      this.canvas.width = this.canvas.width + 0;
      return this.overview.lay(view, size);
    }
    if (!hall || !this.shown) return;
    this.list?.lay(view, size);
    this.painter.paint({
      ...this.shown,
      hall,
      view,
      size,
      suits: (seat) => this.suits(seat),
      focused: this.focused,
      proposed: this.proposed,
      focusLabel: this.focusLabel,
      picture: this.picture,
    });
    this.drawMini();
  }

  miniScale() {
    const { left, right, top, bottom } = this.viewport.bounds;
    return MINI_PX / Math.max(right - left, bottom - top);
  }

  /** The whole in a corner, and what of it is seen. */
  drawMini() {
    const { bounds, isWhole, size, view } = this.viewport;
    this.mini.hidden = isWhole;
    if (isWhole || !this.hall) return;
    const scale = this.miniScale();
    const { canvas, colours } = this.painter;
    const ratio = canvas.width / size.width;
    const wide = Math.round((bounds.right - bounds.left) * scale * ratio);
    const high = Math.round((bounds.bottom - bounds.top) * scale * ratio);
    if (this.mini.width !== wide || this.mini.height !== high) {
      this.mini.width = wide;
      this.mini.height = high;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (this.mini.getContext("2d"));
    context.setTransform(scale * ratio, 0, 0, scale * ratio, -bounds.left * scale * ratio, -bounds.top * scale * ratio);
    context.fillStyle = colours.card;
    context.fillRect(bounds.left, bounds.top, bounds.right - bounds.left, bounds.bottom - bounds.top);
    context.fillStyle = colours.taken;
    context.strokeStyle = colours["line-2"];
    context.lineWidth = 1 / scale;
    const outlines = this.section ? [this.section.outline] : this.hall.plan.sections.map(({ outline }) => outline);
    for (const outline of outlines) {
      context.beginPath();
      for (const [x, y] of outline) context.lineTo(x, y);
      context.closePath();
      context.fill();
      context.stroke();
    }
    const { left, top, right, bottom } = seen(view, size);
    context.strokeStyle = colours.ink;
    context.lineWidth = 2 / scale;
    context.strokeRect(left, top, right - left, bottom - top);
  }

  /** @param {Seat} seat */
  wordsOf({ label, of, type }) {
    return seatWords(this.options.tickets.get(type)?.ticketType, of.label, label);
  }

  /** @param {string} key */
  nameOf(key) {
    const seat = this.hall?.seats.get(key);
    if (seat) return this.wordsOf(seat);
    const [type, row, number] = key.split("/");
    return seatWords(this.options.tickets.get(Number(type))?.ticketType, row, number);
  }

  /** @param {string} key */
  priceOf(key) {
    return this.options.tickets.get(Number(key.split("/")[0]))?.price ?? 0;
  }

  /** @param {Seat} seat */
  suits(seat) {
    const price = this.hall?.priceOf(seat) ?? 0;
    return price <= this.priceMax && (!this.accessibleOnly || (seat.flags & (ACCESSIBLE | COMPANION)) > 0);
  }

  /** @param {Section} section */
  suitsSection({ accessible, priceMin }) {
    return priceMin <= this.priceMax && !(this.accessibleOnly && accessible === 0);
  }

  fillFilters() {
    const prices = this.hall?.prices ?? [];
    const slider = inputOf("price-max");
    slider.max = String(prices.length - 1);
    slider.value = slider.max;
    $("price-legend").replaceChildren(...(prices.length > 1 ? prices : []).map((price) => {
      const line = make("li", this.options.money(price));
      line.prepend(make("span", "", `key price-${stepOf(prices, price)}`));
      return line;
    }));
    this.filter();
  }

  /** What can be asked for: no price where there is no choice, no wheelchair spaces where it is known that there are none. */
  offerFilters() {
    const isOfOnePrice = this.section && this.section.priceMin === this.section.priceMax;
    $("price-filter").hidden = isOfOnePrice === true || (this.hall?.prices.length ?? 0) < FILTERED_MIN;
    const sections = [...(this.hall?.sections.values() ?? [])];
    const isWithoutSpaces = sections.every(({ accessible }) => !accessible);
    $("accessible-filter").hidden = isWithoutSpaces;
    $("map-tools").hidden = isWithoutSpaces && $("price-filter").hidden;
  }

  /** Take over what the fan asks for. */
  filter() {
    this.offerFilters();
    const prices = this.hall?.prices ?? [];
    const slider = inputOf("price-max");
    const chosen = Number(slider.value);
    this.priceMax = chosen >= prices.length - 1 ? Infinity : prices[chosen];
    const words = prices.length ? t("up to {price}", { price: this.options.money(prices[chosen]) }) : "";
    setText($("price-words"), words);
    slider.setAttribute("aria-valuetext", words);
    this.accessibleOnly = inputOf("accessible-only").checked;
    if (this.accessibleOnly) this.needsAccess = true;
    this.overview?.label();
    this.viewport.draw();
    if (!this.list || !this.hall || !this.shown || this.list.hasFocus) return;
    const first = this.hall.firstFree(this.list.seats(), (seat) => this.suits(seat));
    if (first) this.list.turnTo(first.key);
  }

  /** @param {number} x @param {number} y @param {{isTouch: boolean, isByKey: boolean, target: Element}} tap */
  onTap(x, y, { isTouch, isByKey, target }) {
    const { viewport } = this;
    if (this.overview) {
      if (target.closest("a")) return false;
      const near = this.overview.near(x, y, viewport.view, viewport.size);
      if (near) location.hash = `section=${near.sectionId}`;
      return near !== null;
    }
    if (!this.shown) return false;
    const pixels = PITCH * viewport.view.scale;
    const seat = this.hall?.seats.get(target.getAttribute("data-key") ?? "") ??
      this.shown.index.at(...viewport.planAt(x, y), Math.max(PITCH * 0.75, NEAR_PX / viewport.view.scale));
    if (!seat) return false;
    if (!isByKey && pixels < (isTouch ? TOUCHED_PX_MIN : CLICKED_PX_MIN)) {
      viewport.go({ x: seat.x, y: seat.y, scale: this.seatPx / PITCH });
      return true;
    }
    this.tip.hidden = true;
    this.list?.turnTo(seat.key);
    this.toggle(seat);
    return true;
  }

  /** @param {PointerEvent} event */
  onHover(event) {
    if (event.pointerType !== "mouse" || event.buttons || !this.shown) return void (this.tip.hidden = true);
    const [x, y] = this.viewport.placeOf(event);
    const seat = this.shown.index.at(...this.viewport.planAt(x, y), PITCH * 0.6);
    this.tip.hidden = !seat;
    if (!seat) return;
    setText(this.tip, this.list?.words(seat) ?? "");
    const [at, top] = toBox(this.viewport.view, this.viewport.size, seat.x, seat.y);
    const isLow = top < 60;
    this.tip.style.left = `${Math.min(Math.max(at, 90), Math.max(90, this.viewport.size.width - 90))}px`;
    this.tip.style.top = `${top + (isLow ? 1 : -1) * (PITCH * 0.6 * this.viewport.view.scale + 4)}px`;
    this.tip.classList.toggle("is-below", isLow);
  }

  /** @param {Seat | null} seat @param {boolean} byKeyboard */
  onFocus(seat, byKeyboard) {
    this.focused = seat && byKeyboard ? seat.key : null;
    this.viewport.draw();
    if (!seat || !byKeyboard) return;
    const { size, view } = this.viewport;
    const [x, y] = toBox(view, size, seat.x, seat.y);
    /** @param {number} at @param {number} pixels */
    const off = (at, pixels) => Math.min(at - EDGE_PX, 0) || Math.max(at - pixels + EDGE_PX, 0);
    const [right, down] = [off(x, size.width), off(y, size.height)];
    if (right || down) this.viewport.go({ ...view, x: view.x + right / view.scale, y: view.y + down / view.scale });
    this.bringIntoSight(y - down);
  }

  /** Scroll the page where the focus would lie outside of it, or under the fan's choice. @param {number} y in the box */
  bringIntoSight(y) {
    const box = this.box.getBoundingClientRect();
    const top = box.top + y;
    const choice = $("selection").getBoundingClientRect();
    const isOver = choice.left < box.right && choice.right > box.left && choice.top < innerHeight;
    const bottom = isOver ? choice.top : innerHeight;
    const by = top > bottom - EDGE_PX ? top - bottom + EDGE_PX : Math.min(0, top - EDGE_PX);
    if (by) scrollBy({ top: by, behavior: "instant" });
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { viewport } = this;
    if (event.key === "+" || event.key === "=") viewport.zoom(STEP);
    else if (event.key === "-") viewport.zoom(1 / STEP);
    else if (event.key === "0") viewport.go(fitView(viewport.bounds, viewport.size, viewport.scaleMax));
    else if (event.key === "Escape" && this.section) $("map-back").click();
    else return;
    event.preventDefault();
  }

  /** @param {Seat} seat */
  async toggle(seat) {
    const { announce, onLimit, onProtected, seatsMax } = this.options;
    const { hall } = this;
    if (!hall) return;
    const { key } = seat;
    if (!hall.isFree(key)) return announce(t("{seat} cannot be picked", { seat: this.list?.words(seat) ?? "" }));
    if (this.picked.has(key)) return this.drop([key]);
    if (this.picked.size >= seatsMax) return onLimit();
    if (seat.flags & (ACCESSIBLE | COMPANION) && !this.needsAccess) {
      this.needsAccess = await onProtected();
      if (!this.needsAccess || !hall.isFree(key) || this.picked.size >= seatsMax) return;
    }
    this.pick([key]);
  }

  /** @param {string[]} keys */
  pick(keys) {
    for (const key of keys) {
      this.picked.add(key);
      this.list?.paint(key);
    }
    this.tip.hidden = true;
    this.viewport.draw();
    this.options.onPick([...this.picked]);
  }

  /** Unpick seats. @param {string[]} keys */
  drop(keys) {
    for (const key of keys) {
      this.picked.delete(key);
      this.list?.paint(key);
    }
    this.viewport.draw();
    this.options.onPick([...this.picked]);
  }

  /** Take over all seats that are not free. @param {[number, number, number, Taken][]} taken */
  snapshot(taken) {
    const { hall } = this;
    if (!hall) return void (this.early = taken);
    const before = hall.taken;
    const lost = hall.snapshot(taken);
    for (const key of new Set([...before.keys(), ...hall.taken.keys()])) {
      if (before.get(key) !== hall.taken.get(key)) this.list?.paint(key);
    }
    this.changed(lost);
    if (this.list && !this.list.hasFocus && this.list.current && !hall.isFree(this.list.current)) this.filter();
  }

  /** All seats that are not free, as `snapshot` takes them. */
  takenSeats() {
    return this.hall?.takenSeats() ?? this.early ?? [];
  }

  /** @param {SeatChange[]} changes */
  change(changes) {
    if (!this.hall) return;
    const lost = this.hall.change(changes);
    for (const [type, row, seat] of changes) this.list?.paint(`${type}/${row}/${seat}`);
    this.changed(lost);
  }

  /** @param {string[]} lost */
  changed(lost) {
    if (lost.length) {
      this.drop(lost);
      this.options.onLost(lost);
    }
    this.viewport.draw();
    this.stockTimer ||= setTimeout(() => this.tellStock(), STOCK_MS);
    this.overviewTimer ||= setTimeout(() => {
      this.overviewTimer = 0;
      this.overview?.label();
    }, OVERVIEW_MS);
  }

  tellStock() {
    this.stockTimer = 0;
    if (this.hall) this.options.onStock();
  }

  /** Ask how many seats sections have left, where changes did not tell. */
  async countAnew() {
    const { hall } = this;
    if (!hall?.isBehind || !this.overview || document.hidden) return;
    /** @type {PlanOverview} */
    const plan = await this.options.load(this.options.path);
    if (plan.planVersion !== hall.plan.planVersion) return this.load();
    hall.countAnew(plan.sections);
    this.overview?.label();
  }

  /** @param {Set<string>} keys the seats that this fan holds */
  showOwn(keys) {
    const before = this.own;
    this.own = keys;
    if (this.hall) this.hall.own = keys;
    for (const key of new Set([...before, ...keys])) this.list?.paint(key);
    const held = [...this.picked].filter((key) => keys.has(key));
    if (held.length) this.drop(held);
    this.viewport.draw();
  }

  /** @param {number} type */
  stock(type) {
    return this.hall?.stock(type) ?? { available: 0, held: 0 };
  }

  /**
   * Seats that the fan's choice would leave alone, with no free one beside them; and as many seats instead that leave
   * none alone, where there are such.
   * @returns {{alone: string[], instead: string[] | null} | null} keys; null where none is left alone
   */
  alone() {
    const { hall } = this;
    if (!hall) return null;
    const isFree = (/** @type {Seat} */ seat) => hall.isFree(seat.key);
    const isPicked = (/** @type {Seat} */ seat) => this.picked.has(seat.key);
    const runs = new Map();
    for (const key of this.picked) {
      const seat = hall.seats.get(key);
      if (seat) {
        const run = hall.runOf(seat);
        runs.set(run[0].key, run);
      }
    }
    /** @type {string[]} */
    const alone = [];
    /** @type {string[] | null} */
    let instead = [];
    for (const run of /** @type {Iterable<Seat[]>} */ (runs.values())) {
      const mine = run.filter(isPicked);
      const left = leftAlone(run, isFree, isPicked);
      alone.push(...left.map(({ key }) => key));
      const better = left.length ? betterPick(run, isFree, mine) : mine;
      if (better) instead?.push(...better.map(({ key }) => key));
      else instead = null;
    }
    return alone.length ? { alone, instead } : null;
  }

  /** Show seats that are proposed, wherever they are. @param {string[]} keys; empty: none any more */
  async propose(keys) {
    this.proposed = keys;
    const [first] = await this.find(keys);
    if (!first || this.proposed !== keys) return this.viewport.draw();
    if (!this.isWhole && this.section !== first.of.section) {
      history.pushState(null, "", `#section=${first.of.section.sectionId}`);
      // What else is proposed stays in sight.
      await this.follow(false);
    }
    const seats = keys.flatMap((key) => this.hall?.seats.get(key) ?? []);
    const { left, right, top, bottom } = boundsOf(pointsOf(seats));
    this.list?.turnTo(first.key);
    this.viewport.go({
      x: (left + right) / 2,
      y: (top + bottom) / 2,
      scale: this.isWhole ? this.viewport.view.scale : this.seatPx / PITCH,
    });
  }

  /** The seats of these keys, whose sections are opened where they were not. @param {string[]} keys @returns {Promise<Seat[]>} */
  async find(keys) {
    const { hall } = this;
    if (!hall || !keys.length) return [];
    const type = Number(keys[0].split("/")[0]);
    for (const section of hall.sections.values()) {
      if (hall.seats.has(keys[0])) break;
      if (section.ticketTypeIds.includes(type)) await this.open(section);
    }
    return keys.flatMap((key) => hall.seats.get(key) ?? []);
  }
}

Object.assign(globalThis, { HallPlan });
