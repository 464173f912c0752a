// @ts-check
// The operator's own account: second factors, sessions, and the password.
import { call, Problem } from "./api.js";
import { $, formOf, make } from "./dom.js";
import { momentWords } from "./moments.js";
import { attempt, readOperator, say, watchSession, watchSignIn } from "./operator.js";
import { knowsPasskeys, makePasskey } from "./passkeys.js";
import { plural } from "./words.js";

/** @import { FactorsAnswer, NewAuthenticator, OperatorSessionList, PasskeyOptions, RecoveryCodes } from "../contract.d.ts" */

const VIEW = "account";
/** @param {string} at */
const when = (at) => momentWords(at, "date");

/** @param {string} words @param {string} about @param {string} button @param {() => Promise<unknown>} act */
function line(words, about, button, act) {
  const box = make("div");
  box.append(make("b", words), make("p", about, "muted small"));
  const item = make("li");
  item.append(box);
  if (button) {
    const doIt = make("button", button, "button plain");
    doIt.type = "button";
    doIt.setAttribute("aria-label", `${button}: ${words}`);
    doIt.addEventListener("click", () => attempt(VIEW, () => act().then(show)));
    item.append(doIt);
  }
  return item;
}

async function show() {
  const operator = await readOperator();
  /** @type {[Promise<FactorsAnswer>, Promise<OperatorSessionList>]} */
  const asked = [call("GET", "/api/ops/factors"), call("GET", "/api/ops/sessions")];
  const [factors, { sessions }] = await Promise.all(asked);
  $("who").textContent = operator.name;
  const events = Object.entries(operator.events).map(([eventId, role]) => `${role} at event ${eventId}`);
  $("roles").textContent = [operator.role ?? "", ...events].filter(Boolean).join(", ") || "no role";
  $("factor-needed").hidden = !operator.secondFactorNeeded;
  $("authenticator-words").textContent = factors.authenticator
    ? `Your authenticator is asked for at each sign-in. ${plural(factors.recoveryCodes, "recovery code")} left.`
    : "An app on your telephone shows a new code each half minute. Whoever knows your password alone cannot sign in.";
  $("authenticator-add").hidden = factors.authenticator || !$("authenticator-confirm").hidden;
  $("authenticator-remove").hidden = !factors.authenticator;
  $("passkeys").replaceChildren(
    ...factors.passkeys.map((one) =>
      line(
        one.label,
        `added ${when(one.madeAt)}${one.usedAt ? `, used ${when(one.usedAt)}` : ""}`,
        "Remove",
        () => call("DELETE", `/api/ops/passkeys/${one.passkeyId}`),
      )
    ),
  );
  $("passkey-add").hidden = !knowsPasskeys();
  $("passkeys-none").hidden = knowsPasskeys();
  $("sessions").replaceChildren(
    ...sessions.map((one) =>
      line(
        one.current ? "This session" : one.network,
        `since ${when(one.beganAt)}, until ${when(one.endsAt)} · ${one.current ? `${one.network} · ` : ""}${one.agent}`,
        one.current ? "" : "End",
        () => call("DELETE", `/api/ops/sessions/${one.sessionId}`),
      )
    ),
  );
  $("end-others").hidden = sessions.length < 2;
  $("sign-in").hidden = true;
  $(VIEW).hidden = false;
}

/** Do it when a form is sent, with its fields. @param {string} id @param {(fields: Record<string, string>) => Promise<unknown>} act */
function onSubmit(id, act) {
  const form = formOf(id);
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    attempt(VIEW, async () => {
      const fields = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
      await act(fields);
      form.reset();
      await show();
    });
  });
}

onSubmit("authenticator-add", async ({ password }) => {
  /** @type {NewAuthenticator} */
  const made = await call("POST", "/api/ops/authenticator", { body: { password } });
  $("authenticator-secret").textContent = made.secret;
  /** @type {HTMLImageElement} */ ($("authenticator-picture")).src = made.picture;
  $("authenticator-confirm").hidden = false;
});
onSubmit("authenticator-confirm", async ({ code }) => {
  /** @type {RecoveryCodes} */
  const { codes } = await call("PUT", "/api/ops/authenticator", { body: { code } });
  /** @type {HTMLTextAreaElement} */ ($("codes-text")).value = `${codes.join("\n")}\n`;
  $("codes").hidden = false;
  $("authenticator-confirm").hidden = true;
  $("authenticator-secret").textContent = "";
  say("The authenticator is asked for from now on.", [], true);
});
onSubmit("authenticator-remove", async ({ password }) => {
  await call("POST", "/api/ops/authenticator/removal", { body: { password } });
  $("codes").hidden = true;
});
onSubmit("passkey-add", async ({ label, password }) => {
  /** @type {PasskeyOptions} */
  const { options } = await call("POST", "/api/ops/passkeys/options", { body: { password } });
  let credential;
  try {
    credential = await makePasskey(options);
  } catch (error) {
    if (error instanceof Problem) throw error;
    return say("The browser made no passkey.");
  }
  await call("POST", "/api/ops/passkeys", { body: { label, credential } });
  say("The passkey is added.", [], true);
});
onSubmit("password", async (body) => {
  await call("PUT", "/api/ops/password", { body });
  say("The password is changed. Your other sessions have ended.", [], true);
});

$("end-others").addEventListener("click", () =>
  attempt(VIEW, async () => {
    await call("DELETE", "/api/ops/sessions");
    await show();
  }));
$("sign-out").addEventListener("click", () =>
  attempt(VIEW, async () => {
    await call("DELETE", "/api/ops/session");
    location.reload();
  }));

watchSignIn(() => attempt(VIEW, show));
watchSession(VIEW);
attempt(VIEW, show);
