// @ts-check
// An event's access codes, for its operators: issue, count, revoke.
import { call, Problem } from "./api.js";
import { $, formOf, make } from "./dom.js";
import { eventWords, momentWords } from "./moments.js";
import { attempt, say, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";
import { momentOf, offerTurns } from "./venue-time.js";
import { plural } from "./words.js";

/** @import { CodeIssueAnswer, CodeIssueList, CodesIssued, EventDefinition, RoomAnswer } from "../contract.d.ts" */

const eventId = $("codes").dataset.event;
const room = `/api/ops/rooms/${eventId}`;
const form = formOf("issue");
const share = formOf("share");
/** @param {string} at */
const when = (at) => momentWords(at, "date");
/** By the venue's clock, as the form has it. @param {string} at */
const atVenue = (at) => eventWords(at, zone).words;
let revision = 0; // of the room whose share this page shows
let zone = ""; // the venue's

/** @param {CodeIssueAnswer} issue */
function line(issue) {
  const { label, codes, uses, usesMax, startsAt, endsAt, issuedBy, issuedAt, revokedBy, revokedAt } = issue;
  const facts = [
    `${plural(codes, "code")}, ${count(uses)} of ${plural(codes * usesMax, "use")} taken`,
    [startsAt && `from ${atVenue(startsAt)}`, endsAt && `until ${atVenue(endsAt)}`].filter(Boolean).join(" "),
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
  revoke.dataset.needs = "steward";
  revoke.setAttribute("aria-label", `Revoke ${label}`);
  revoke.addEventListener("click", () => {
    if (!confirm(`Revoke ${label}? Its codes can then be used no more. Who used one keeps the place.`)) return;
    attempt("codes", async () => {
      await call("DELETE", `${room}/codes/${issueId}`);
      await show();
    });
  });
  return revoke;
}

async function show() {
  /** @type {[Promise<RoomAnswer>, Promise<CodeIssueList>, Promise<EventDefinition>]} */
  const asked = [call("GET", room), call("GET", `${room}/codes`), call("GET", `/api/ops/events/${eventId}`)];
  const [found, { issues }, { timeZone }] = await Promise.all(asked);
  zone = timeZone;
  for (const words of document.querySelectorAll("[data-zone]")) words.textContent = `By the clock of ${zone}.`;
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

const times = /** @type {HTMLInputElement[]} */ (["startsAt", "endsAt"].map((name) => form.elements.namedItem(name)));
for (const field of times) field.addEventListener("input", () => offerTurns(field, zone));

form.addEventListener("change", () => {
  const kind = new FormData(form).get("kind");
  for (const label of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-kind]"))) {
    label.hidden = label.dataset.kind !== kind;
    for (const input of label.querySelectorAll("input")) input.disabled = label.hidden;
  }
});

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt("codes", async () => {
    const fields = new FormData(form);
    /** @type {Record<string, unknown>} */
    const body = { label: fields.get("label"), usesMax: Number(fields.get("usesMax")) };
    if (fields.get("kind") === "named") body.code = fields.get("code");
    else body.count = Number(fields.get("count"));
    for (const field of times) {
      if (!field.value) continue;
      const moment = momentOf(field, zone);
      if (!moment) return say("The clocks at the venue go forward then: this time does not exist.");
      body[field.name] = moment;
    }
    /** @type {CodesIssued} */
    const { codes } = await call("POST", `${room}/codes`, { body });
    const text = `${codes.join("\n")}\n`;
    /** @type {HTMLTextAreaElement} */ ($("issued-codes")).value = text;
    /** @type {HTMLAnchorElement} */ ($("download")).href = `data:text/plain;charset=utf-8,${encodeURIComponent(text)}`;
    $("issued").hidden = false;
    say(`Issued ${plural(codes.length, "code")}.`, [], true);
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
  attempt("codes", async () => {
    const changed = await setShare(shareInput().valueAsNumber);
    if (changed) say(`The priority class has ${changed.priorityShare}% of the calls while both wait.`, [], true);
  });
});

watchSignIn(() => attempt("codes", show));
watchSession("codes", Number(eventId));
attempt("codes", show);
