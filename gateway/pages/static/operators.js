// @ts-check
// All operators and the tokens of scripts, for owners: who may steer, as what, and until when.
import { call } from "./api.js";
import { $, formOf, make } from "./dom.js";
import { line, lineButton } from "./lines.js";
import { momentWords } from "./moments.js";
import { attempt, readOperator, say, watchSession, watchSignIn } from "./operator.js";
import { plural } from "./words.js";

/** @import { OperatorList, OperatorListed, OperatorLog, ScriptToken, ScriptTokenList, ScriptTokenMade } from "../contract.d.ts" */

const VIEW = "operators";
const API = "/api/ops/operators";
const change = formOf("change");
/** @param {string} at */
const when = (at) => momentWords(at, "date");
/** The operator whose role or password is changed. */
let changed = "";

/** @param {HTMLFormElement} form @param {string} name */
const field = (form, name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));

/** The fields of a form; an event's number where one is given. @param {HTMLFormElement} form */
function fieldsOf(form) {
  const { eventId, ...fields } = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
  return { ...fields, ...(eventId ? { eventId: Number(eventId) } : {}) };
}

/** What the form changes of an operator: its title, the rest of its address after `API`, how it is sent, and what is said then. */
const CHANGES = {
  role: { title: "Role of", path: "role", method: "PUT", done: "has another role, in force at once." },
  password: { title: "New password for", path: "password", method: "PUT", done: "has a new password." },
  factors: {
    title: "Forget the second factors of",
    path: "factors/reset",
    method: "POST",
    done: "signs in by password alone, and can set up second factors anew.",
  },
};
/** @typedef {keyof typeof CHANGES} What */
/** @type {What} */
let what = "role";

/** @param {OperatorListed} one @param {What} chosen */
function open({ name, role }, chosen) {
  change.reset();
  [changed, what] = [name, chosen];
  $("change-title").textContent = `${CHANGES[what].title} ${name}`;
  field(change, "role").value = role ?? "";
  $("change-role").hidden = what !== "role";
  $("change-password").hidden = what !== "password";
  field(change, "newPassword").required = what === "password";
  change.hidden = false;
  $("change-title").focus();
}

/** @param {string} name */
async function remove(name) {
  if (!confirm(`Dismiss ${name}? All sessions of ${name} end within a second.`)) return;
  await attempt(VIEW, async () => {
    await call("DELETE", `${API}?${new URLSearchParams({ name })}`);
    await show();
    say(`${name} is dismissed.`, [], true);
  });
}

/** @param {OperatorListed} one */
function operatorLine(one) {
  const roles = [one.role ?? "", ...Object.entries(one.events).map(([eventId, role]) => `${role} at event ${eventId}`)];
  const factors = [one.authenticator ? "authenticator" : "", one.passkeys ? plural(one.passkeys, "passkey") : ""];
  const facts = [
    roles.filter(Boolean).join(", ") || "no role",
    factors.filter(Boolean).join(" and ") || "password alone",
    plural(one.sessions, "session"),
    one.signedInAt ? `signed in ${when(one.signedInAt)}` : "never signed in",
  ];
  return line(
    one.name,
    facts.join(" · "),
    lineButton("Role", `Role of ${one.name}`, () => open(one, "role")),
    lineButton("Password", `New password for ${one.name}`, () => open(one, "password")),
    ...(one.authenticator || one.passkeys
      ? [lineButton("Second factors", `Forget the second factors of ${one.name}`, () => open(one, "factors"))]
      : []),
    lineButton("Dismiss", `Dismiss ${one.name}`, () => remove(one.name)),
  );
}

/** @param {ScriptToken} token */
function tokenLine(token) {
  const at = token.eventId ? ` at event ${token.eventId}` : "";
  const revoke = lineButton("Revoke", `Revoke ${token.name}`, () => {
    if (!confirm(`Revoke ${token.name}? Its script is refused within a second.`)) return;
    attempt(VIEW, async () => {
      await call("DELETE", `/api/ops/tokens/${encodeURIComponent(token.tokenId)}`);
      await show();
    });
  });
  return line(
    token.name,
    `${token.role}${at}, until ${when(token.endsAt)} · made by ${token.madeBy}, ${when(token.madeAt)}`,
    revoke,
  );
}

/** @param {string} id @param {HTMLElement[]} lines */
function list(id, lines) {
  $(id).replaceChildren(...(lines.length ? lines : [make("li", "None.", "muted")]));
}

async function show() {
  const { may } = await readOperator();
  $("sign-in").hidden = true;
  const isOwner = may.includes("owner");
  $("not-yours").hidden = isOwner;
  $(VIEW).hidden = !isOwner;
  if (!isOwner) return;
  /** @type {[Promise<OperatorList>, Promise<ScriptTokenList>, Promise<OperatorLog>]} */
  const asked = [call("GET", API), call("GET", "/api/ops/tokens"), call("GET", `${API}/log`)];
  const [{ operators }, { tokens }, { entries }] = await Promise.all(asked);
  list("list", operators.map(operatorLine));
  list("tokens", tokens.map(tokenLine));
  list(
    "log",
    entries.map((one) =>
      line(`${one.what}: ${one.before ? `${one.before} → ` : ""}${one.after}`, `${one.operator}, ${when(one.at)}`)
    ),
  );
}

change.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const { role, newPassword, eventId, password } = /** @type {Record<string, unknown>} */ (fieldsOf(change));
    const fields = { role: { role: role || null, eventId: eventId ?? null }, password: { newPassword }, factors: {} };
    const { path, method, done } = CHANGES[what];
    await call(method, `${API}/${path}`, { body: { name: changed, password, ...fields[what] } });
    change.hidden = true;
    await show();
    say(`${changed} ${done}`, [], true);
  });
});
$("change-cancel").addEventListener("click", () => change.hidden = true);
formOf("add").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const form = formOf("add");
    const name = field(form, "name").value.trim();
    await call("POST", API, { body: fieldsOf(form) });
    form.reset();
    await show();
    say(`${name} may sign in.`, [], true);
  });
});

formOf("make-token").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const form = formOf("make-token");
    const { hours, ...fields } = /** @type {Record<string, unknown>} */ (fieldsOf(form));
    const body = { ...fields, hours: Number(hours) };
    const { token } = /** @type {ScriptTokenMade} */ (await call("POST", "/api/ops/tokens", { body }));
    form.reset();
    await show();
    const made = /** @type {HTMLInputElement} */ ($("made-token"));
    made.value = token;
    $("made").hidden = false;
    made.select();
  });
});

watchSignIn(() => attempt(VIEW, show));
watchSession(VIEW);
attempt(VIEW, show);
