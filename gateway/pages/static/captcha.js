// @ts-check
// Whatever proves that a person buys: ALTCHA's work in the background, or Google's reCAPTCHA.
import { call, now, Problem } from "./api.js";

/** @typedef {{token: string, goodUntil: number}} Solution goodUntil in ms of the server's clock */

/** @param {string} address of the worker's script @param {any} challenge @returns {Promise<Solution>} */
function work(address, challenge) {
  return new Promise((done, fail) => {
    const worker = new Worker(address);
    worker.onerror = () =>
      fail(new Problem(0, { title: "The check could not run in this browser.", code: "captcha_failed" }));
    worker.onmessage = ({ data }) => {
      worker.terminate();
      if (data.number === null) {
        return fail(new Problem(0, { title: "The check found no answer.", code: "captcha_failed" }));
      }
      const { algorithm, salt, signature } = challenge;
      const token = btoa(
        JSON.stringify({
          algorithm,
          challenge: challenge.challenge,
          number: data.number,
          salt,
          signature,
          took: data.took,
        }),
      );
      const ends = Number(/[?&]expires=(\d+)/.exec(salt)?.[1]);
      done({ token, goodUntil: ends ? ends * 1000 : now() + 240000 });
    };
    worker.postMessage({
      salt: challenge.salt,
      challenge: challenge.challenge,
      maxnumber: challenge.maxnumber ?? challenge.maxNumber,
    });
  });
}

/** @param {string} address @returns {Promise<void>} */
const load = (address) =>
  new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => done();
    script.onerror = () =>
      fail(new Problem(0, { title: "The check did not load. Is a blocker on?", code: "captcha_failed" }));
    document.head.append(script);
  });

/** Solves what the server asks for, early and in the background, once for each use. */
export class Captcha {
  /**
   * @param {HTMLElement} box where a visible check goes @param {string} worker the address of captcha-worker.js
   * @param {(state: "idle" | "working" | "done" | "failed") => void} onState
   */
  constructor(box, worker, onState) {
    this.box = box;
    this.worker = worker;
    this.onState = onState;
    /** @type {any} */
    this.kind = null;
    /** @type {Promise<Solution> | null} */
    this.solution = null;
  }

  /** @param {string} action @returns {Promise<boolean>} whether the server wants a token for this */
  async needed(action) {
    this.kind ??= await call("GET", "/api/captcha");
    return this.kind.provider !== "off" && (this.kind.requiredFor ?? [action]).includes(action);
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

  /** A token still good; undefined where none is asked. @param {string} action @param {boolean} [anyway] the server asked for it by a refusal @returns {Promise<string | undefined>} */
  async token(action, anyway = false) {
    if (!(await this.needed(action)) && !(anyway && this.kind.provider !== "off")) return undefined;
    let solution = await this.begin(action);
    if (solution.goodUntil < now() + 5000) {
      this.solution = null;
      solution = await this.begin(action);
    }
    return solution.token;
  }

  /** The token was used or refused: the next needs a new one. */
  spent() {
    this.solution = null;
    this.onState("idle");
  }

  /** @param {string} action @returns {Promise<Solution>} */
  async solve(action) {
    const { provider, siteKey, challengeHref } = this.kind;
    if (provider === "altcha") {
      return work(this.worker, await call("GET", challengeHref ?? "/api/captcha/challenge"));
    }
    return this.google(action, siteKey, provider === "recaptcha_enterprise");
  }

  /** v3 keys answer by themselves; a v2 key refuses `execute` and gets its checkbox. @param {string} action @param {string} siteKey @param {boolean} enterprise */
  async google(action, siteKey, enterprise) {
    const root = () => {
      const grecaptcha = /** @type {any} */ (window).grecaptcha;
      return enterprise ? grecaptcha?.enterprise : grecaptcha;
    };
    if (!root()) {
      await load(
        `https://www.google.com/recaptcha/${enterprise ? "enterprise" : "api"}.js?render=${
          encodeURIComponent(siteKey)
        }`,
      );
    }
    await new Promise((done) => root().ready(done));
    let token;
    try {
      token = await root().execute(siteKey, { action });
    } catch {
      this.box.replaceChildren(document.createElement("div"));
      token = await new Promise((done) =>
        root().render(this.box.firstElementChild, { sitekey: siteKey, callback: done })
      );
    }
    return { token, goodUntil: now() + 110000 };
  }
}
