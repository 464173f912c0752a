// @ts-check
// An event's access codes, for its operators: issue, count, revoke.
import { call, Problem } from "./api.js";
import { $, formOf, make } from "./dom.js";
import { askToSignIn, signedOut, watchSignIn } from "./operator.js";
import { count, plural } from "./words.js";

/** @import { CodeIssueAnswer, CodeIssueList, CodesIssued, RoomAnswer } from "../contract.d.ts" */

const eventId = $("codes").dataset.event;
const room = `/api/ops/rooms/${eventId}`;
const form = formOf("issue");
const share = formOf("share");
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
/** @param {string} at */
const when = (at) => moment.format(new Date(at));
let revision = 0; // of the room whose share this page shows

/** @param {string} text @param {"bad" | "good"} [tone] */
function say(text, tone = "bad") {
  $("message").textContent = text;
  $("message").className = `message ${tone}`;
  $("message").hidden = !text;
}

/** Do it, and say why if it is refused. @param {() => Promise<void>} act */
async function attempt(act) {
  say("");
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) askToSignIn("codes");
    else say(error.message);
  }
}

/** @param {CodeIssueAnswer} issue */
function line(issue) {
  const { label, codes, uses, usesMax, startsAt, endsAt, issuedBy, issuedAt, revokedBy, revokedAt } = issue;
  const facts = [
    `${plural(codes, "code")}, ${count(uses)} of ${plural(codes * usesMax, "use")} taken`,
    [startsAt && `from ${when(startsAt)}`, endsAt && `until ${when(endsAt)}`].filter(Boolean).join(" "),
    `issued by ${issuedBy}, ${when(issuedAt)}`,
    revokedAt && `revoked by ${revokedBy}, ${when(revokedAt)}`,
  ].filter(Boolean).join(" · ");
  const words = make("div");
  words.append(make("b", label), make("p", facts, "muted small"));
  const item = make("li");
  item.append(words);
  if (!revokedAt) item.append(revokeButton(issue));
  return item;
}

/** @param {CodeIssueAnswer} issue */
function revokeButton({ issueId, label }) {
  const revoke = make("button", "Revoke", "button plain");
  revoke.type = "button";
  revoke.setAttribute("aria-label", `Revoke ${label}`);
  revoke.addEventListener("click", () => {
    if (!confirm(`Revoke ${label}? Its codes can then be used no more. Who used one keeps the place.`)) return;
    attempt(async () => {
      await call("DELETE", `${room}/codes/${issueId}`);
      await show();
    });
  });
  return revoke;
}

async function show() {
  /** @type {[Promise<RoomAnswer>, Promise<CodeIssueList>]} */
  const asked = [call("GET", room), call("GET", `${room}/codes`)];
  const [found, { issues }] = await Promise.all(asked);
  document.title = `Access codes: ${found.name} · Console · Admit One`;
  const inLine = `${count(found.priorityWaiting)} of ${count(found.waiting)} in line have priority`;
  $("summary").textContent = `${found.name} · ${inLine}`;
  revision = found.revision;
  $("issues").replaceChildren(...issues.map(line));
  $("none").hidden = issues.length > 0;
  const input = shareInput();
  if (document.activeElement !== input) input.valueAsNumber = found.priorityShare;
  $("sign-in").hidden = true;
  $("codes").hidden = false;
}

const shareInput = () => /** @type {HTMLInputElement} */ (share.elements.namedItem("priorityShare"));

form.addEventListener("change", () => {
  const kind = new FormData(form).get("kind");
  for (const label of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-kind]"))) {
    label.hidden = label.dataset.kind !== kind;
    for (const input of label.querySelectorAll("input")) input.disabled = label.hidden;
  }
});

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(async () => {
    const fields = new FormData(form);
    /** @type {Record<string, unknown>} */
    const body = { label: fields.get("label"), usesMax: Number(fields.get("usesMax")) };
    if (fields.get("kind") === "named") body.code = fields.get("code");
    else body.count = Number(fields.get("count"));
    for (const name of ["startsAt", "endsAt"]) {
      if (fields.get(name)) body[name] = new Date(String(fields.get(name))).toISOString();
    }
    /** @type {CodesIssued} */
    const { codes } = await call("POST", `${room}/codes`, { body });
    const text = `${codes.join("\n")}\n`;
    /** @type {HTMLTextAreaElement} */ ($("issued-codes")).value = text;
    /** @type {HTMLAnchorElement} */ ($("download")).href = `data:text/plain;charset=utf-8,${encodeURIComponent(text)}`;
    $("issued").hidden = false;
    say(`Issued ${plural(codes.length, "code")}.`, "good");
    await show();
    $("issued").scrollIntoView({ block: "nearest" });
  });
});

$("copy").addEventListener("click", () => {
  const box = /** @type {HTMLTextAreaElement} */ ($("issued-codes"));
  box.select();
  // Without TLS a page has no clipboard, but the text is selected.
  navigator.clipboard?.writeText(box.value).then(() => ($("copy").textContent = "Copied"), () => {});
});

/**
 * Set the share, unless another operator has set it meanwhile. Other changes of the room do not matter here.
 * @param {number} priorityShare @returns {Promise<RoomAnswer | null>} null: another operator has set it
 */
async function setShare(priorityShare) {
  for (;;) {
    try {
      /** @type {RoomAnswer} */
      const changed = await call("PATCH", room, { body: { priorityShare, revision } });
      revision = changed.revision;
      return changed;
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "conflict") throw error;
      revision = error.body.revision ?? revision;
      const theirs = error.body.changes?.filter((line) => line.field === "priority_share").at(-1);
      if (!theirs) continue;
      say(`Not set: ${theirs.operator} has made it ${theirs.to}% meanwhile. Press Set again if yours is to stand.`);
      return null;
    }
  }
}

share.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(async () => {
    const changed = await setShare(shareInput().valueAsNumber);
    if (changed) say(`The priority class has ${changed.priorityShare}% of the calls while both wait.`, "good");
  });
});

watchSignIn(() => attempt(show));
attempt(show);
