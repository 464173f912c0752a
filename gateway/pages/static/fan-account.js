// @ts-check
// Passkeys of a fan's account: added and removed where the fan is signed in, and used to sign in. Without scripts, or in
// a browser that knows no passkeys, the page shows nothing of them.
import { pageAddress } from "./addresses.js";
import { call, Problem } from "./api.js";
import { $, inputOf, make } from "./dom.js";
import { momentWords } from "./moments.js";
import { knowsPasskeys, makePasskey, usePasskey } from "./passkeys.js";
import { t } from "./text.js";
import { problemWords } from "./words.js";

/** @import { AccountJoinPreview, AccountPasskeyList, PasskeyOptions } from "../contract.d.ts" */

/** @param {unknown} error */
function say(error) {
  const words = $("passkey-message");
  words.hidden = false;
  if (!(error instanceof Problem)) words.textContent = t("The browser used no passkey.");
  else if (error.code === "wrong_password") words.textContent = t("The password that you have now is another one.");
  else if (error.code === "account_joined") {
    words.textContent = t("That account was joined to another one. Sign in to that one.");
  } else if (error.code === "join_refused") words.textContent = t("This passkey is one of this account.");
  else if (error.code === "passkey_refused") words.textContent = t("This passkey is not known here.");
  else if (error.code === "last_way_in") {
    words.textContent = t("Without it you could not sign in any more. Add a passkey first.");
  } else if (error.code === "unfinished") location.assign(pageAddress("/account?problem=unfinished"));
  else words.textContent = problemWords(error);
}

/** @param {() => Promise<unknown>} act */
async function attempt(act) {
  $("passkey-message").hidden = true;
  try {
    await act();
  } catch (error) {
    say(error);
  }
}

async function show() {
  /** @type {AccountPasskeyList} */
  const { passkeys } = await call("GET", "/api/account/passkeys");
  $("passkeys").replaceChildren(...passkeys.map((one) => {
    const line = make("li");
    const remove = make("button", t("Remove"), "button plain");
    remove.setAttribute("type", "button");
    remove.setAttribute("aria-label", `${t("Remove")}: ${one.label}`);
    remove.addEventListener(
      "click",
      () => attempt(() => call("DELETE", `/api/account/passkeys/${one.passkeyId}`).then(show)),
    );
    line.append(`${one.label} · ${momentWords(one.madeAt, "date")} `, remove);
    return line;
  }));
}

async function add() {
  const password = document.getElementById("passkey-password") ? inputOf("passkey-password").value : "";
  /** @type {PasskeyOptions} */
  const { options } = await call("POST", "/api/account/passkeys/options", { body: { password } });
  const body = { label: inputOf("passkey-label").value.trim() || "Passkey", credential: await makePasskey(options) };
  await call("POST", "/api/account/passkeys", { body });
  await show();
}

async function signIn() {
  const { to, leave } = $("passkey-part").dataset;
  /** @type {PasskeyOptions} */
  const { options } = await call("POST", "/api/account/session/passkey/options");
  const credential = await usePasskey(options);
  await call("POST", "/api/account/session/passkey", { body: { credential, leave: Boolean(leave) } });
  if (to) location.assign(pageAddress(to));
  else location.assign(pageAddress("/account?told=in"));
}

async function proveOther() {
  /** @type {PasskeyOptions} */
  const { options } = await call("POST", "/api/account/session/passkey/options");
  const credential = await usePasskey(options);
  /** @type {AccountJoinPreview} */
  const { proof } = await call("POST", "/api/account/joins/proof", { body: { credential } });
  location.assign(pageAddress(`/account/join?proof=${encodeURIComponent(proof)}`));
}

if (knowsPasskeys()) {
  $("passkey-part").hidden = false;
  const join = document.getElementById("join-passkey-part");
  if (join) {
    join.hidden = false;
    $("join-passkey").addEventListener("click", () => attempt(proveOther));
  }
  const form = document.getElementById("passkey-form");
  if (form) {
    form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      attempt(add);
    });
    attempt(show);
  } else $("passkey-sign-in").addEventListener("click", () => attempt(signIn));
}
