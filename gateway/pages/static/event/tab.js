// @ts-check
// The tab's title and icon carry the place, for a fan who reads another tab meanwhile.
import { $ } from "../dom.js";
import { count, t } from "../text.js";

/** @import { EventData, News, Stage, State } from "./state.js" */

const FLASH_MS = 1000;

/** Parts that are not named leave the tab as it is; the lobby, the early page and the held seats write their own countdowns. @type {Partial<Record<Stage, [string, string?]>>} */
const TABS = {
  join: [""],
  called: [t("It’s your turn!"), "★"],
  choose: [t("Choose your seats"), "★"],
  expired: [t("Your turn has passed")],
  sold_out: [""],
  closed: [""],
  done: [""],
};

export class Tab {
  /** @param {EventData} event */
  constructor(event) {
    this.event = event;
    this.title = document.title;
    this.icon = /** @type {HTMLLinkElement} */ ($("favicon"));
    this.plainIcon = this.icon.href;
    this.flashes = false;
    setInterval(() => this.flash(), FLASH_MS);
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.stage === "waiting" && state.place !== before.place) this.showPlace(state.place);
    const words = TABS[state.stage];
    if (words) this.put(...words);
    this.flashes = state.stage === "called" || state.stage === "choose";
  }

  /** @param {News | null} place */
  showPlace(place) {
    const { position, etaSeconds } = place ?? {};
    if (typeof position !== "number") return this.put(t("In line"));
    const n = count(position);
    const minutes = count(Math.ceil((etaSeconds ?? 0) / 60));
    this.put(etaSeconds ? t("{n} · ~{minutes} min", { n, minutes }) : t("{n} in line", { n }), shortCount(position));
  }

  /** @param {string} words empty: the page's own title @param {string} [sign] on the icon, up to four characters */
  put(words, sign) {
    const title = words ? `${words} · ${this.event.name}` : this.title;
    if (document.title === title) return;
    document.title = title;
    this.icon.href = sign ? iconWith(sign) : this.plainIcon;
  }

  /** At the fan's turn, in a tab that the fan does not see: the title moves. */
  flash() {
    const star = "★ ";
    if (document.title.startsWith(star)) document.title = document.title.slice(star.length);
    else if (this.flashes && document.hidden) document.title = star + document.title;
  }
}

/** @param {number} n */
const shortCount = (n) => (n < 10_000 ? String(n) : n < 1_000_000 ? `${Math.floor(n / 1000)}k` : "1M+");

/** @param {string} sign */
function iconWith(sign) {
  const size = sign.length < 3 ? 19 : sign.length < 4 ? 15 : 12;
  const colours = getComputedStyle(document.documentElement);
  const text = `<text x="16" y="${16 + size * 0.36}" font-family="sans-serif" font-weight="700" font-size="${size}" ` +
    `text-anchor="middle" fill="${colours.getPropertyValue("--on-amber")}">${sign}</text>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` +
    `<rect width="32" height="32" rx="7" fill="${colours.getPropertyValue("--amber")}"/>${text}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
