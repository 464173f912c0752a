// @ts-check
// Shops with a room before them: how each is protected, how it bears its fans, and what its proxy needs.
import { below } from "./addresses.js";
import { call, Problem } from "./api.js";
import { $, copyTemplate, formOf, make, setText } from "./dom.js";
import { askToSignIn, attempt, readOperator, say, signedOut, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";

/** @import { OperatorName, ShopAnswer, ShopList, ShopProxyFiles } from "../contract.d.ts" */

const VIEW = "shops";
const API = "/api/ops/shops";
const REFRESH_MS = 3000;
const form = formOf("shop-form");
/** @type {Map<number, Shop>} */
const shops = new Map();
/** The shop that the form changes; null: it makes one. @type {ShopAnswer | null} */
let changed = null;
/** @type {OperatorName | null} */
let operator = null;

/** @param {string} name */
const field = (name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
/** @param {string} name */
const linesOf = (name) => field(name).value.split(/\s+/).filter(Boolean);

const TEXTS = /** @type {const} */ (["origin", "probeUrl"]);
const LISTS = /** @type {const} */ (["paths", "openPaths", "returnOrigins"]);
const NUMBERS = /** @type {const} */ (["capacity", "ratePerMinute", "passSeconds", "passLifeSeconds", "targetMs"]);
const CHOICES = /** @type {const} */ (["always", "failOpen", "ownPage"]);

/** What the form says, as the API takes it. */
function asked() {
  return {
    ...Object.fromEntries(TEXTS.map((name) => [name, field(name).value.trim()])),
    ...Object.fromEntries(LISTS.map((name) => [name, linesOf(name)])),
    ...Object.fromEntries(NUMBERS.map((name) => [name, Number(field(name).value)])),
    ...Object.fromEntries(CHOICES.map((name) => [name, field(name).value === "true"])),
    autopilot: field("autopilot").checked,
  };
}

/** Show the form, filled with how the shop is protected. @param {ShopAnswer | null} shop null: a new one */
function showForm(shop) {
  changed = shop;
  form.reset();
  $("form-title").textContent = shop ? `Change ${shop.name}` : "Protect a shop";
  $("save").textContent = shop ? "Save" : "Protect";
  for (const part of form.querySelectorAll("[data-new]")) /** @type {HTMLElement} */ (part).hidden = Boolean(shop);
  for (const part of form.querySelectorAll("[data-old]")) /** @type {HTMLElement} */ (part).hidden = !shop;
  if (shop) {
    for (const name of [...TEXTS, ...NUMBERS]) field(name).value = String(shop[name]);
    for (const name of LISTS) field(name).value = shop[name].join("\n");
    for (const name of CHOICES) field(name).value = shop[name] ? "true" : "";
    field("autopilot").checked = shop.autopilot;
  }
  form.hidden = false;
  $("add").setAttribute("aria-expanded", String(!shop));
  field("origin").focus();
}

function hideForm() {
  form.hidden = true;
  $("add").setAttribute("aria-expanded", "false");
}

/** @param {ShopAnswer} shop */
function aboutWords(shop) {
  const but = shop.openPaths.length ? ` but not ${shop.openPaths.join(" ")}` : "";
  return [
    [shop.origin, ...shop.returnOrigins].join(" "),
    `${shop.paths.join(" ")}${but} needs a pass`,
    shop.always ? "everybody waits" : "only the overflow waits",
    shop.failOpen ? "open while the line is away" : "closed while the line is away",
    `a pass ends after ${count(shop.passSeconds)} s unused, ${count(shop.passLifeSeconds)} s at most`,
  ].join(" · ");
}

/** @param {ShopAnswer} shop */
function pilotWords({ autopilot, autopilotWhy, figures, probeUrl }) {
  const words = autopilot ? `Autopilot: ${autopilotWhy || "looking at the shop…"}.` : "The autopilot is off.";
  if (figures && !figures.fresh) return `${words} No figures of the shop came in the last minute.`;
  if (!figures && !probeUrl) return `${words} Nothing is known of how the shop bears its fans.`;
  return words;
}

class Shop {
  /** @param {ShopAnswer} now */
  constructor(now) {
    this.now = now;
    this.element = copyTemplate("shop-template");
    this.element.querySelector('[data-do="change"]')?.addEventListener("click", () => showForm(this.now));
    this.details = /** @type {HTMLDetailsElement} */ (this.element.querySelector("details"));
    this.details.addEventListener("toggle", () => attempt(VIEW, () => this.readFiles()));
    this.files = /** @type {HTMLSelectElement} */ (this.field("files"));
    this.text = /** @type {HTMLTextAreaElement} */ (this.field("text"));
    this.files.addEventListener("change", () => this.text.value = this.files.value);
    this.element.querySelector('[data-do="copy"]')?.addEventListener("click", () => this.copy());
    $("list").append(this.element);
  }
  /** @param {string} name */
  field(name) {
    return /** @type {HTMLElement} */ (this.element.querySelector(`[data-f="${name}"]`));
  }
  /** @param {ShopAnswer} now */
  draw(now) {
    this.now = now;
    const { figures } = now;
    const name = /** @type {HTMLAnchorElement} */ (this.field("name"));
    name.href = below(`/ops#${now.eventId}`);
    setText(name, now.name);
    setText(this.field("state"), now.state);
    this.field("state").className = `tag ${now.state === "open" ? "is-open" : "is-shut"}`;
    setText(this.field("about"), aboutWords(now));
    setText(this.field("waiting"), count(now.waiting));
    setText(this.field("admitted"), `${count(now.admitted)} of ${count(now.capacity)}`);
    setText(this.field("rate"), `${count(Math.round(now.rateNowPerMinute))} of ${count(now.ratePerMinute)}`);
    setText(
      this.field("p95"),
      figures?.fresh ? `${count(Math.round(figures.p95Ms))} of ${count(now.targetMs)} ms` : "–",
    );
    setText(this.field("failed"), figures?.fresh ? `${count(figures.failed)} of ${count(figures.asked)}` : "–");
    setText(this.field("pilot"), pilotWords(now));
    setText(this.field("check"), now.check);
    setText(this.field("waitingPage"), now.waitingPage);
    const may = [...(operator?.may ?? []), ...(operator?.mayAt[now.eventId] ?? [])];
    /** @type {HTMLElement} */ (this.element.querySelector('[data-do="change"]')).hidden = !may.includes("owner");
  }
  async readFiles() {
    if (!this.details.open) return;
    /** @type {ShopProxyFiles} */
    const { files } = await call("GET", `${API}/${this.now.eventId}/proxies`);
    this.files.replaceChildren(...files.map((one) => {
      const option = make("option", `${one.proxy}: ${one.file}`);
      option.value = one.text;
      return option;
    }));
    this.text.value = files[0].text;
  }
  async copy() {
    this.text.select();
    try {
      await navigator.clipboard.writeText(this.text.value);
      say("Copied.", [], true);
    } catch {
      say("Selected: copy it with the keyboard.", [], true);
    }
  }
}

async function refresh() {
  /** @type {ShopList} */
  const found = await call("GET", API);
  for (const now of found.shops) {
    let shop = shops.get(now.eventId);
    if (!shop) shops.set(now.eventId, shop = new Shop(now));
    shop.draw(now);
  }
  $("none").hidden = shops.size > 0 || !form.hidden;
}

async function show() {
  operator = await readOperator();
  await refresh();
  $("sign-in").hidden = true;
  $(VIEW).hidden = false;
}

async function keepFresh() {
  if (!document.hidden && !$(VIEW).hidden) {
    try {
      await refresh();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (signedOut(error)) askToSignIn(VIEW);
    }
  }
  setTimeout(keepFresh, REFRESH_MS);
}

$("add").addEventListener("click", () => form.hidden ? showForm(null) : hideForm());
$("cancel").addEventListener("click", hideForm);
form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const name = changed?.name ?? field("name").value.trim();
    if (changed) {
      const body = { ...asked(), revision: changed.revision, why: field("why").value.trim() };
      await call("PUT", `${API}/${changed.eventId}`, { body });
    } else {
      const opensAt = field("opensAt").value;
      const begin = opensAt ? { opensAt: new Date(opensAt).toISOString() } : {};
      const body = { ...asked(), ...begin, name, lobbyMinutes: Number(field("lobbyMinutes").value) };
      await call("POST", API, { body });
    }
    hideForm();
    await refresh();
    say(`${name || "The shop"} is protected so from now on.`, [], true);
  });
});

watchSignIn(() => attempt(VIEW, show));
watchSession(VIEW);
attempt(VIEW, show);
keepFresh();
