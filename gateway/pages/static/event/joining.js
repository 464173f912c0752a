// @ts-check
// Joining the line: by the button, with an access code, or again by itself after the server turned the fan away.
import { pageAddress } from "../addresses.js";
import { call, Problem } from "../api.js";
import { Captcha } from "../captcha.js";
import { $, inputOf } from "../dom.js";
import { device } from "../device.js";
import { momentWords } from "../moments.js";
import { clock, problemWords } from "../words.js";
import { findSession, waitFor } from "./asking.js";
import { t, tn } from "../text.js";

/** @import { Context } from "./context.js" */
/** @import { News, Stage, State } from "./state.js" */

const CAPTCHA_TRIES = 3;
const RATE_LIMITED_SECONDS = 10; // where the server names no time
const OFFLINE_SECONDS = 5;
const TICK_MS = 500;
/** The parts of the page that offer an access code. @type {Stage[]} */
const WITH_CODE = ["join", "waiting", "lobby"];

export class Joining {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.joining = false;
    /** Kept until the line has taken or refused it: the next try at a full line brings it too. */
    this.code = "";
    this.retryTimer = 0;
    this.captcha = new Captcha($("message"), context.captchaWorker, (state) => {
      const words = t("Many people are joining from your network, so we check that you are a person. One moment…");
      if (state === "working") context.page.say(words, "good");
      if (state === "done") context.page.hush();
    }, context.event.eventId);
    for (const form of document.querySelectorAll("[data-join]")) {
      form.addEventListener("submit", (submit) => {
        submit.preventDefault();
        this.join();
      });
    }
    $("access-form").addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.sayOfCode("");
      this.join(inputOf("access-code").value.trim());
    });
  }

  /** @param {State} state @param {State} before */
  show(state, before) {
    if (state.retry !== before.retry) this.countDown(state.retry?.seconds);
    const { priority, roomState, stage } = state;
    $("access").hidden = priority || roomState === "off" || !WITH_CODE.includes(stage);
  }

  /** @param {number | undefined} seconds until the page tries again; undefined: it does not */
  countDown(seconds) {
    clearInterval(this.retryTimer);
    if (seconds === undefined) return;
    // Spread out, so that fans turned away together do not come back together.
    const due = Date.now() + seconds * 1000 * (1 + Math.random() / 2);
    this.retryTimer = setInterval(() => {
      for (const words of document.querySelectorAll("[data-retry]")) {
        words.textContent = t("This page tries again in {time}.", { time: clock(due - Date.now()) });
      }
      if (Date.now() >= due) this.join();
    }, TICK_MS);
  }

  /** @param {string} [code] an access code */
  async join(code) {
    if (this.joining) return;
    this.joining = true;
    this.code = code || this.code;
    const { page, store } = this.context;
    store.dispatch({ type: "joining" });
    page.hush();
    /** @type {NodeListOf<HTMLButtonElement>} */
    const buttons = document.querySelectorAll("[data-join] button, #access-go");
    for (const button of buttons) button.disabled = true;
    try {
      this.context.tell({ type: "news", news: await this.askForPlace() });
      page.hush();
      if (this.code && store.state.priority) {
        inputOf("access-code").value = "";
        page.say(t("Code accepted: you are in the priority line."), "good");
      }
      this.code = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.refused(error);
    } finally {
      this.joining = false;
      for (const button of buttons) button.disabled = false;
    }
  }

  /** Join, with a captcha where the server asks for one. @returns {Promise<News>} */
  async askForPlace() {
    const { queue, store } = this.context;
    const { code } = this;
    /** @type {string | undefined} */
    let captchaToken;
    for (let tries = 0;; tries++) {
      try {
        const body = {
          ...(captchaToken ? { captchaToken } : {}),
          ...(code ? { accessCode: code } : {}),
          device: await device(this.context.event.eventId),
        };
        return await call("POST", queue, { body, headers: store.headers });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const asked = error.code === "captcha_required" || error.code === "captcha_failed";
        if (!asked || tries >= CAPTCHA_TRIES) throw error;
        this.captcha.spent();
        captchaToken = await this.captcha.token("join", true);
      }
    }
  }

  /** @param {Problem} problem */
  refused(problem) {
    const { page, store } = this.context;
    const { code } = problem;
    const wrongCode = wordsOfCode(problem);
    if (wrongCode) {
      this.code = "";
      store.dispatch({ type: "codeRefused" });
      this.sayOfCode(wrongCode);
    } else if (code === "line_full" || code === "rebuilding") {
      waitFor(store, code, problem);
    } else if (code === "sold_out" || code === "closed") {
      store.dispatch({ type: "refused", stage: code });
    } else if (code === "rate_limited") {
      page.say(t("Many people are joining from your network. Keep this page open: it tries again by itself."));
      store.dispatch({ type: "retryLater", seconds: problem.retryAfter || RATE_LIMITED_SECONDS });
    } else if (code === "account_required") {
      location.assign(pageAddress(`/account?to=/events/${this.context.event.eventId}`));
    } else if (problem.status === 401) {
      findSession(page);
    } else if (problem.status === 0) {
      page.say(t("No connection. Check your network; this page tries again by itself."));
      store.dispatch({ type: "retryLater", seconds: OFFLINE_SECONDS });
    } else page.say(problemWords(problem));
  }

  /** @param {string} text what is wrong with the access code; empty: nothing */
  sayOfCode(text) {
    $("access-error").textContent = text;
    $("access-error").hidden = !text;
    $("access-code").toggleAttribute("aria-invalid", Boolean(text));
  }
}

/** What is wrong with an access code, in words; empty where the problem is another. @param {Problem} problem */
function wordsOfCode({ code, body, retryAfter }) {
  const at = body.at ? momentWords(body.at, "date") : "";
  switch (code) {
    case "code_unknown":
      return t("That code is not right. Check it and try again.");
    case "code_used":
      return t("This code has been used already.");
    case "code_not_yet":
      return at
        ? t("This code works from {time}. Your place does not change meanwhile.", { time: at })
        : t("This code does not work yet.");
    case "code_expired":
      return at ? t("This code worked until {time}.", { time: at }) : t("This code does not work any more.");
    case "too_many_codes":
      return tn(
        "Too many wrong codes. Please wait {n} second and try again.",
        "Too many wrong codes. Please wait {n} seconds and try again.",
        Math.max(1, retryAfter),
      );
    default:
      return "";
  }
}
