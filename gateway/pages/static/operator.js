// @ts-check
// An operator's sign-in on a page of the console.
import { below } from "./addresses.js";
import { call, Problem } from "./api.js";
import { keepsCookies, NO_COOKIES } from "./cookies.js";
import { $, formOf } from "./dom.js";
import { knowsPasskeys, usePasskey } from "./passkeys.js";

/** Whether a refusal means that nobody, or no operator, is signed in. @param {unknown} error */
export const signedOut = (error) =>
  error instanceof Problem && ["unauthenticated", "session_invalid", "not_operator"].includes(error.code);

/** @import { OperatorName, PasskeyOptions } from "../contract.d.ts" */

const ASKED_MS = 10_000;
/** The operator who is signed in. @type {OperatorName | null} */
let operator = null;
let eventInView = 0;
let signIns = 0;

/**
 * Show what the operator may do at an event, and hide the rest. The server refuses it anyway.
 * @param {number} [eventId] 0: at the whole site
 */
export function showAllowed(eventId = eventInView) {
  eventInView = eventId;
  const { may = [], mayAt = {} } = operator ?? {};
  document.body.dataset.may = [...may, ...(mayAt[eventId] ?? [])].join(" ");
}

/** Ask who is signed in, and show what they may do. @returns {Promise<OperatorName>} */
export async function readOperator() {
  const before = signIns;
  /** @type {OperatorName} */
  let found;
  try {
    found = await call("GET", "/api/ops/session", { patience: 5 });
  } catch (error) {
    // A page asks more than once, and somebody may sign in before the last refusal comes.
    if (before !== signIns) return readOperator();
    throw error;
  }
  operator = found;
  showAllowed();
  if (found.secondFactorNeeded && location.pathname !== below("/ops/account")) location.assign(below("/ops/account"));
  return found;
}

/**
 * End the page's view soon after the operator's session has ended.
 * @param {string} view its id @param {number} [eventId] the event that the page is about
 */
export function watchSession(view, eventId = 0) {
  eventInView = eventId;
  const ask = async () => {
    if (document.hidden || !$("sign-in").hidden) return;
    try {
      await readOperator();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (signedOut(error)) askToSignIn(view);
    }
  };
  setInterval(ask, ASKED_MS);
  document.addEventListener("visibilitychange", ask);
  ask();
}

/** Show the sign-in in place of the page's view. @param {string} view its id */
export function askToSignIn(view) {
  $(view).hidden = true;
  $("sign-in").hidden = false;
  /** @type {HTMLInputElement | null} */ (document.querySelector("#sign-in-form [name=name]"))?.focus();
}

/**
 * Show the page's view once an operator is signed in.
 * @param {() => Promise<void>} begin asks the API and draws what it answers
 */
export async function enter(begin) {
  try {
    await begin();
    $("sign-in").hidden = true;
    $("view").hidden = false;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) return askToSignIn("view");
    say(error.status === 404 ? "There is no such event." : `${error.message} Reload in a few seconds.`);
  }
}

/** A message above all else, with a list of lines below it. @param {string} text @param {Node[]} [lines] @param {boolean} [good] */
export function say(text, lines = [], good = false) {
  const box = $("message");
  box.textContent = text;
  box.hidden = !text;
  box.classList.toggle("good", good);
  if (lines.length) {
    const list = document.createElement("ul");
    list.append(...lines);
    box.append(list);
  }
}

/** Do it, and say why if it is refused. @param {string} view the id of the page's @param {() => Promise<void>} act */
export async function attempt(view, act) {
  say("");
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) askToSignIn(view);
    else say(error.message);
  }
}

/**
 * @param {HTMLFormElement} form @param {() => Promise<unknown>} go is called when an operator has signed in
 * @param {() => Promise<unknown>} prove asks the API for the session
 */
async function signIn(form, go, prove) {
  const words = $("sign-in-message");
  words.hidden = true;
  try {
    await prove();
  } catch (error) {
    words.hidden = false;
    if (!(error instanceof Problem)) {
      words.textContent = "The browser used no passkey.";
      return;
    }
    if (error.code === "second_factor_required") {
      $("sign-in-code").hidden = false;
      /** @type {HTMLInputElement | null} */ ($("sign-in-code").querySelector("input"))?.focus();
    }
    words.textContent = error.code === "unauthenticated" ? "Name and password do not match." : error.message;
    return;
  }
  if (!keepsCookies()) {
    words.textContent = NO_COOKIES;
    words.hidden = false;
    return;
  }
  form.reset();
  $("sign-in-code").hidden = true;
  signIns++;
  await readOperator();
  await go();
}

/** @param {() => Promise<unknown>} go is called when an operator has signed in */
export function watchSignIn(go) {
  $("sign-in-form").addEventListener("submit", async (submit) => {
    submit.preventDefault();
    const form = formOf("sign-in-form");
    const { name, password, code } = Object.fromEntries(new FormData(form));
    await signIn(
      form,
      go,
      () => call("POST", "/api/ops/session", { body: { name, password, ...(code ? { code } : {}) } }),
    );
  });
  const passkey = $("sign-in-passkey");
  passkey.hidden = !knowsPasskeys();
  passkey.addEventListener("click", () =>
    signIn(formOf("sign-in-form"), go, async () => {
      /** @type {PasskeyOptions} */
      const { options } = await call("POST", "/api/ops/session/passkey/options");
      await call("POST", "/api/ops/session/passkey", { body: { credential: await usePasskey(options) } });
    }));
}
