// @ts-check
// All of a large hall: its sections as shapes, coloured by price, hatched by how little is left, each a link to its
// seats; and the same sections as a list, the cheapest first.
import { ARROWS, boundsOf, distanceTo, neighbour, toBox } from "./geometry.js";
import { svg } from "./list.js";
import { stepOf } from "./painter.js";
import { make } from "../dom.js";
import { count, t } from "../text.js";

/** @import { Rect, Size, View } from "./geometry.js" */
/** @import { Hall, Section } from "./hall.js" */

const TEXT_PX = 12;
const CHARACTER_PX = 6.9; // the width of an average one
const REACH_PX = 22; // A finger that misses a small section by less has meant it.
const FEW = 0.25; // of a section's seats
const LAST = 0.05;

/** @typedef {{section: Section, link: SVGElement, words: SVGElement, hatch: SVGElement, texts: SVGElement[], bounds: Rect, item: HTMLAnchorElement}} Drawn */

export class Overview {
  /**
   * @param {HTMLElement} box @param {HTMLElement} list
   * @param {{hall: Hall, money: (amount: number) => string, focusLabel: string,
   *   suits: (section: Section) => boolean}} options
   */
  constructor(box, list, options) {
    this.options = options;
    const { hall, focusLabel } = options;
    const { plan } = hall;
    this.root = svg("svg", {
      class: "overview",
      role: "group",
      "aria-label": t("Map of the hall"),
      "aria-describedby": "map-help",
    });
    this.root.append(hatching("few", 9), hatching("last", 5));
    if (plan.picture) {
      const { at: [x, y], href, size: [width, height] } = plan.picture;
      this.root.append(svg("image", { href, x, y, width, height }));
    }
    this.root.append(svg("polygon", { class: "scenery focus", points: plan.focus.outline.join(" ") }));
    for (const { outline } of plan.shapes) {
      this.root.append(svg("polygon", { class: "scenery", points: outline.join(" ") }));
    }
    /** @type {{text: SVGElement, outline: [number, number][]}[]} */
    this.sceneryNames = [];
    const named = [...plan.shapes, { label: focusLabel, outline: plan.focus.outline }];
    for (const { label, outline } of named) {
      if (!label || !outline.length) continue;
      const text = svg("text", { class: "scenery-name" });
      text.textContent = label;
      this.sceneryNames.push({ text, outline });
    }
    // Above all shapes, so that none cuts the words of its neighbour.
    this.words = svg("g", { "aria-hidden": "true" });
    const sections = [...hall.sections.values()].sort((a, b) => a.priceMin - b.priceMin);
    list.replaceChildren();
    /** @type {Drawn[]} */
    this.drawn = sections.map((section) => this.drawSection(section, list));
    this.spots = sections.map((section) => ({
      key: section.name,
      x: section.labelAt[0],
      y: section.labelAt[1],
      section,
    }));
    // In the order of the plan, which goes around a hall or from its front to its back.
    for (const sectionId of hall.sections.keys()) {
      const drawn = this.drawn.find(({ section }) => section.sectionId === sectionId);
      if (drawn) this.root.append(drawn.link);
    }
    this.root.append(this.words, ...this.sceneryNames.map(({ text }) => text));
    this.root.querySelector("a")?.setAttribute("tabindex", "0");
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.root.addEventListener("focusin", ({ target }) => this.turnTo(/** @type {Element} */ (target)));
    box.append(this.root);
    this.label();
  }

  /** @param {Section} section @param {HTMLElement} list @returns {Drawn} */
  drawSection(section, list) {
    const href = `#section=${section.sectionId}`;
    const points = section.outline.join(" ");
    const link = svg("a", { href, tabindex: -1 });
    const shape = svg("polygon", { class: "section", points });
    const hatch = svg("polygon", { class: "hatch", points });
    const texts = [svg("text", { class: "section-name" }), svg("text", {})];
    link.append(shape, hatch);
    const words = svg("g", {});
    words.append(...texts);
    this.words.append(words);
    const item = make("a");
    item.href = href;
    item.append(make("span", section.name), make("b"), make("small"));
    const line = make("li");
    line.append(item);
    list.append(line);
    return { section, link, words, hatch, texts, bounds: boundsOf(section.outline), item };
  }

  /** What each section costs, and what is left of it. */
  label() {
    for (const { section, link, words, hatch, item } of this.drawn) {
      const { money, hall, suits } = this.options;
      const { free, name, priceMax, priceMin, seats } = section;
      const share = free / seats;
      const price = priceMin === priceMax ? money(priceMin) : `${money(priceMin)}–${money(priceMax)}`;
      const left = free > 0 ? t("{n} left", { n: count(free) }) : t("sold out");
      const fits = suits(section);
      const look = `price-${free > 0 ? stepOf(hall.prices, priceMin) : "none"} ${fits ? "" : "is-other"}`;
      link.setAttribute("class", look);
      words.setAttribute("class", look);
      hatch.setAttribute("class", `hatch ${share > FEW ? "" : share > LAST ? "few" : "last"}`);
      setAttribute(link, "aria-label", `${name}, ${price}, ${left}`);
      item.children[1].textContent = price;
      item.children[2].textContent = left;
      if (item.parentElement) item.parentElement.hidden = !suits(section);
    }
  }

  /** @param {View} view @param {Size} size */
  lay(view, size) {
    const { width, height } = size;
    const [wide, high] = [width / view.scale, height / view.scale];
    this.root.setAttribute("viewBox", `${view.x - wide / 2} ${view.y - high / 2} ${wide} ${high}`);
    this.root.style.fontSize = `${TEXT_PX / view.scale}px`;
    const line = (TEXT_PX * 1.15) / view.scale;
    for (const { bounds, section, texts } of this.drawn) {
      const fits = Math.floor(((bounds.right - bounds.left) * 0.9 * view.scale) / CHARACTER_PX);
      const two = (bounds.bottom - bounds.top) * view.scale > 2.3 * TEXT_PX;
      const price = this.options.money(section.priceMin).replace(/[.,]00(?!\d)/, "");
      const words = section.free > 0 ? price : t("sold out");
      const [name, below] = section.name.length <= fits && two
        ? [section.name, words]
        : ["", words.length <= fits + 1 ? words : section.free > 0 ? "" : "×"];
      texts[0].textContent = name;
      texts[1].textContent = below;
      texts.forEach((text, index) => {
        text.setAttribute("x", String(section.labelAt[0]));
        text.setAttribute("y", String(section.labelAt[1] + (name ? (index - 0.5) * line : 0)));
      });
    }
    for (const { text, outline } of this.sceneryNames) {
      const { left, right, top, bottom } = boundsOf(outline);
      text.setAttribute("x", String((left + right) / 2));
      text.setAttribute("y", String((top + bottom) / 2));
    }
  }

  /** The section that a finger means which met none. @param {number} x @param {number} y @param {View} view @param {Size} size */
  near(x, y, view, size) {
    let nearest = REACH_PX;
    let found = null;
    for (const { bounds, section } of this.drawn) {
      const [left, top] = toBox(view, size, bounds.left, bounds.top);
      const [right, bottom] = toBox(view, size, bounds.right, bounds.bottom);
      const away = distanceTo({ left, top, right, bottom }, x, y);
      if (away >= nearest) continue;
      nearest = away;
      found = section;
    }
    return found;
  }

  /** The section of an element. @param {Element} element */
  sectionOf(element) {
    const link = element.closest("a");
    return this.drawn.find((one) => one.link === /** @type {unknown} */ (link))?.section ?? null;
  }

  /** @param {Element} link */
  turnTo(link) {
    this.root.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    link.setAttribute("tabindex", "0");
  }

  /** @param {number} sectionId */
  focus(sectionId) {
    const link = this.drawn.find(({ section }) => section.sectionId === sectionId)?.link;
    if (!link) return;
    this.turnTo(link);
    link.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const way = ARROWS[event.key];
    const from = this.sectionOf(/** @type {Element} */ (event.target));
    if (!way || !from) return;
    event.preventDefault();
    event.stopPropagation();
    const next = neighbour(this.spots, this.spots.find(({ section }) => section === from) ?? this.spots[0], way);
    if (next) this.focus(next.section.sectionId);
  }

  close() {
    this.root.remove();
  }
}

/** @param {Element} element @param {string} name @param {string} value */
function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {string} name @param {number} apart in CSS pixels */
function hatching(name, apart) {
  const pattern = svg("pattern", {
    id: `hatch-${name}`,
    width: apart * 5,
    height: apart * 5,
    patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)",
  });
  pattern.append(svg("path", { d: `M0 0V${apart * 5}`, class: "hatch-line" }));
  return pattern;
}
