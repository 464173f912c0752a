// @ts-check
// All operators and the tokens of scripts, for owners: who may steer, as what, and until when.
import { call } from "./api.js";
import { $, formOf, make } from "./dom.js";
import { line, lineButton } from "./lines.js";
import { momentWords } from "./moments.js";
import { attempt, readOperator, say, watchSession, watchSignIn } from "./operator.js";
import { plural } from "./words.js";

/** @import { OperatorList, OperatorListed, OperatorLog, ScriptToken, ScriptTokenList } from "../contract.d.ts" */

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

/** @param {OperatorListed} one @param {boolean} isPassword */
function open({ name, role }, isPassword) {
  change.reset();
  changed = name;
  $("change-title").textContent = isPassword ? `New password for ${name}` : `Role of ${name}`;
  field(change, "role").value = role ?? "";
  $("change-role").hidden = isPassword;
  $("change-password").hidden = !isPassword;
  field(change, "newPassword").required = isPassword;
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
    lineButton("Role", `Role of ${one.name}`, () => open(one, false)),
    lineButton("Password", `New password for ${one.name}`, () => open(one, true)),
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
    const { role, newPassword, ...fields } = /** @type {Record<string, unknown>} */ (fieldsOf(change));
    const isPassword = $("change-role").hidden;
    const { password } = fields;
    const body = isPassword
      ? { name: changed, newPassword, password }
      : { name: changed, role: role || null, ...fields };
    await call("PUT", `${API}/${isPassword ? "password" : "role"}`, { body });
    change.hidden = true;
    await show();
    say(isPassword ? `${changed} has a new password.` : `${changed} has another role, in force at once.`, [], true);
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

watchSignIn(() => attempt(VIEW, show));
watchSession(VIEW);
attempt(VIEW, show);
