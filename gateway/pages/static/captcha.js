// @ts-check
// The check that a person buys: ALTCHA's work in the background, or Google's reCAPTCHA.
import { call, now, Problem } from "./api.js";
import { t } from "./text.js";

/** @import { CaptchaOffer, ChallengeAnswer } from "../contract.d.ts" */

/** @typedef {{token: string, goodUntil: number}} Solution goodUntil in ms of the server's clock */

/**
 * What we use of Google's script.
 * @typedef {object} Recaptcha
 * @property {(done: (value: unknown) => void) => void} ready
 * @property {(siteKey: string, options: {action: string}) => Promise<string>} execute
 * @property {(box: Element | null, options: {sitekey: string, callback: (token: string) => void}) => void} render
 */

/**
 * What we use of hCaptcha's and Turnstile's scripts.
 * @typedef {object} Boxes
 * @property {(box: Element | null, options: object) => unknown} render
 */

const BOXES = {
  hcaptcha: "https://js.hcaptcha.com/1/api.js?render=explicit",
  turnstile: "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit",
};
const ALTCHA_GOOD_MS = 240_000; // where the challenge names no end
const RECAPTCHA_GOOD_MS = 110_000;
const SPARE_MS = 5000; // A solution that ends sooner may come too late.

/** @param {string} address of the worker's script @param {ChallengeAnswer} challenge @returns {Promise<Solution>} */
function work(address, challenge) {
  const { algorithm, salt, signature } = challenge;
  return new Promise((done, fail) => {
    const worker = new Worker(address);
    worker.onerror = () => fail(failed(t("The security check could not run in this browser.")));
    worker.onmessage = ({ data }) => {
      worker.terminate();
      if (data.number === null) return fail(failed(t("The security check found no answer.")));
      const { number, took } = data;
      const token = btoa(
        JSON.stringify({ algorithm, challenge: challenge.challenge, number, salt, signature, took }),
      );
      const ends = Number(/[?&]expires=(\d+)/.exec(salt)?.[1]);
      done({ token, goodUntil: ends ? ends * 1000 : now() + ALTCHA_GOOD_MS });
    };
    worker.postMessage({ salt, challenge: challenge.challenge, maxnumber: challenge.maxnumber });
  });
}

/** @param {boolean} enterprise @returns {Recaptcha | undefined} undefined until its script is loaded */
function recaptcha(enterprise) {
  const { grecaptcha } = /** @type {{grecaptcha?: Recaptcha & {enterprise?: Recaptcha}}} */ (globalThis);
  return enterprise ? grecaptcha?.enterprise : grecaptcha;
}

/** @param {string} title */
const failed = (title) => new Problem(0, { title, code: "captcha_failed" });

/** @param {string} address @returns {Promise<void>} */
const load = (address) =>
  new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => done();
    script.onerror = () => fail(failed(t("The security check did not load. Is a blocker on?")));
    document.head.append(script);
  });

/** Solves the check that the server asks for, early and in the background, once for each use. */
export class Captcha {
  /**
   * @param {HTMLElement} box where a visible check goes @param {string} worker the address of captcha-worker.js
   * @param {(state: "idle" | "working" | "done" | "failed") => void} onState
   * @param {number} eventId that a solution is good for
   */
  constructor(box, worker, onState, eventId) {
    this.eventId = eventId;
    this.box = box;
    this.worker = worker;
    this.onState = onState;
    /** What the server asks for; null until it was asked. @type {CaptchaOffer | null} */
    this.offer = null;
    /** @type {Promise<Solution> | null} */
    this.solution = null;
  }

  /** @returns {Promise<CaptchaOffer>} */
  async readOffer() {
    if (this.offer) return this.offer;
    /** @type {CaptchaOffer} */
    const offer = await call("GET", "/api/captcha");
    return (this.offer = offer);
  }

  /** @param {string} action @returns {Promise<boolean>} whether the server wants a token for this */
  async needed(action) {
    const { provider, requiredFor } = await this.readOffer();
    return provider !== "off" && requiredFor.includes(action);
  }

  /** Begin to solve, if not begun. @param {string} action @returns {Promise<Solution>} */
  begin(action) {
    if (!this.solution) {
      this.onState("working");
      const solution = (this.solution = this.solve(action));
      solution.then(
        () => this.onState("done"),
        () => {
          this.onState("failed");
          if (this.solution === solution) this.solution = null;
        },
      );
    }
    return this.solution;
  }

  /**
   * A token that is still good; undefined where none is needed.
   * @param {string} action @param {boolean} [demanded] the server has refused to go on without one
   * @returns {Promise<string | undefined>}
   */
  async token(action, demanded = false) {
    const { provider } = await this.readOffer();
    if (provider === "off" || !(demanded || (await this.needed(action)))) return undefined;
    let solution = await this.begin(action);
    if (solution.goodUntil < now() + SPARE_MS) {
      this.solution = null;
      solution = await this.begin(action);
    }
    return solution.token;
  }

  /** The token was used or refused: the next needs a new one. */
  spent() {
    this.solution = null;
    this.offer = null; // Where a provider is down, the next is another one's.
    this.onState("idle");
  }

  /** @param {string} action @returns {Promise<Solution>} */
  async solve(action) {
    const { provider, siteKey } = await this.readOffer();
    if (provider === "altcha") {
      return work(this.worker, await call("GET", `/api/captcha/challenge?eventId=${this.eventId}&action=${action}`));
    }
    if (provider === "hcaptcha" || provider === "turnstile") return this.showBox(provider, action, siteKey ?? "");
    return this.google(action, siteKey ?? "", provider === "recaptcha_enterprise");
  }

  /**
   * hCaptcha and Turnstile show a box of their own, which most people need not touch.
   * @param {"hcaptcha" | "turnstile"} provider @param {string} action @param {string} siteKey @returns {Promise<Solution>}
   */
  async showBox(provider, action, siteKey) {
    const found = () =>
      /** @type {Record<string, Boxes | undefined>} */ (/** @type {unknown} */ (globalThis))[provider];
    if (!found()) await load(BOXES[provider]);
    const boxes = found();
    if (!boxes) throw failed(t("The security check did not load."));
    this.box.replaceChildren(document.createElement("div"));
    /** @type {string} */
    const token = await new Promise((done, fail) =>
      boxes.render(this.box.firstElementChild, {
        sitekey: siteKey,
        action,
        callback: done,
        "error-callback": () => fail(failed(t("The security check did not load. Is a blocker on?"))),
      })
    );
    return { token, goodUntil: now() + RECAPTCHA_GOOD_MS };
  }

  /**
   * A v3 key answers by itself. A v2 key refuses `execute` and gets its checkbox.
   * @param {string} action @param {string} siteKey @param {boolean} enterprise @returns {Promise<Solution>}
   */
  async google(action, siteKey, enterprise) {
    if (!recaptcha(enterprise)) {
      const name = enterprise ? "enterprise" : "api";
      await load(`https://www.google.com/recaptcha/${name}.js?render=${encodeURIComponent(siteKey)}`);
    }
    const loaded = recaptcha(enterprise);
    if (!loaded) throw failed(t("The security check did not load."));
    await new Promise((done) => loaded.ready(done));
    let token;
    try {
      token = await loaded.execute(siteKey, { action });
    } catch {
      this.box.replaceChildren(document.createElement("div"));
      /** @type {string} */
      const ticked = await new Promise((callback) =>
        loaded.render(this.box.firstElementChild, { sitekey: siteKey, callback })
      );
      token = ticked;
    }
    return { token, goodUntil: now() + RECAPTCHA_GOOD_MS };
  }
}
