// @ts-check
// The tab's title and icon carry the place, for a fan who reads another tab meanwhile.
import { $ } from "../dom.js";
import { count } from "../words.js";

/** @import { EventData, Stage, State } from "./state.js" */

/** Parts that are not named leave the tab as it is; the lobby writes its own countdown. @type {Partial<Record<Stage, [string, string?]>>} */
const TABS = {
  join: [""],
  called: ["It’s your turn!", "★"],
  choose: ["Choose your seats", "★"],
  held: ["Seats held", "★"],
  expired: ["Your turn has passed"],
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
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.stage === "waiting" && state.place !== before.place) this.showPlace(state.place?.position);
    const words = TABS[state.stage];
    if (words) this.put(...words);
  }

  /** @param {number | null | undefined} position */
  showPlace(position) {
    if (typeof position === "number") this.put(`${count(position)} in line`, shortCount(position));
    else this.put("In line");
  }

  /** @param {string} words empty: the page's own title @param {string} [sign] on the icon, up to four characters */
  put(words, sign) {
    const title = words ? `${words} · ${this.event.name}` : this.title;
    if (document.title === title) return;
    document.title = title;
    this.icon.href = sign ? iconWith(sign) : this.plainIcon;
  }
}

/** @param {number} n */
const shortCount = (n) => (n < 10_000 ? String(n) : n < 1_000_000 ? `${Math.floor(n / 1000)}k` : "1M+");

/** @param {string} sign */
function iconWith(sign) {
  const size = sign.length < 3 ? 19 : sign.length < 4 ? 15 : 12;
  const text = `<text x="16" y="${16 + size * 0.36}" font-family="sans-serif" font-weight="700" font-size="${size}" ` +
    `text-anchor="middle" fill="#17181c">${sign}</text>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` +
    `<rect width="32" height="32" rx="7" fill="#f5b301"/>${text}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
