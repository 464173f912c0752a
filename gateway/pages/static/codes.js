// @ts-check
// An event's access codes, for its operators: issue, count, revoke.
import { call, Problem } from "./api.js";
import { $, askToSignIn, signedOut, watchSignIn } from "./operator.js";
import { count, plural } from "./words.js";

const eventId = $("codes").dataset.event;
const room = `/api/ops/rooms/${eventId}`;
const form = /** @type {HTMLFormElement} */ ($("issue"));
const share = /** @type {HTMLFormElement} */ ($("share"));
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
/** @param {string} at */
const when = (at) => moment.format(new Date(at));
let revision = 0; // of the room that this page shows the share of

/** @param {string} text @param {"bad" | "good"} [tone] */
function say(text, tone = "bad") {
  $("message").textContent = text;
  $("message").className = `message ${tone}`;
  $("message").hidden = !text;
}

/** Do it; should it be refused, say why. @param {() => Promise<void>} act */
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

/** @param {any} issue */
function line(issue) {
  const item = document.createElement("li");
  const words = document.createElement("div");
  const name = document.createElement("b");
  name.textContent = issue.label;
  const facts = document.createElement("p");
  facts.className = "muted small";
  const window = [issue.startsAt && `from ${when(issue.startsAt)}`, issue.endsAt && `until ${when(issue.endsAt)}`]
    .filter(Boolean).join(" ");
  facts.textContent = [
    `${plural(issue.codes, "code")}, ${count(issue.uses)} of ${plural(issue.codes * issue.usesMax, "use")} taken`,
    window,
    `issued by ${issue.issuedBy}, ${when(issue.issuedAt)}`,
    issue.revokedAt && `revoked by ${issue.revokedBy}, ${when(issue.revokedAt)}`,
  ].filter(Boolean).join(" · ");
  words.append(name, facts);
  item.append(words);
  if (!issue.revokedAt) {
    const revoke = document.createElement("button");
    revoke.className = "button plain";
    revoke.type = "button";
    revoke.textContent = "Revoke";
    revoke.setAttribute("aria-label", `Revoke ${issue.label}`);
    revoke.addEventListener("click", () => {
      if (!confirm(`Revoke ${issue.label}? Its codes can then be used no more. Who used one keeps the place.`)) return;
      attempt(async () => {
        await call("DELETE", `${room}/codes/${issue.issueId}`);
        await show();
      });
    });
    item.append(revoke);
  }
  return item;
}

async function show() {
  const [found, { issues }] = await Promise.all([call("GET", room), call("GET", `${room}/codes`)]);
  document.title = `Access codes: ${found.name} · Console · Admit One`;
  $("summary").textContent = `${found.name} · ${count(found.priorityWaiting)} of ${
    count(found.waiting)
  } in line have priority`;
  revision = found.revision;
  $("issues").replaceChildren(...issues.map(line));
  $("none").hidden = issues.length > 0;
  if (document.activeElement?.getAttribute("name") !== "priorityShare") {
    /** @type {HTMLInputElement} */ (share.elements.namedItem("priorityShare")).valueAsNumber = found.priorityShare;
  }
  $("sign-in").hidden = true;
  $("codes").hidden = false;
}

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
    /** @type {Record<string, any>} */
    const body = { label: fields.get("label"), usesMax: Number(fields.get("usesMax")) };
    if (fields.get("kind") === "named") body.code = fields.get("code");
    else body.count = Number(fields.get("count"));
    for (const name of ["startsAt", "endsAt"]) {
      if (fields.get(name)) body[name] = new Date(String(fields.get(name))).toISOString();
    }
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
  // Without TLS there is no clipboard for pages; the text is selected all the same.
  navigator.clipboard?.writeText(box.value).then(() => ($("copy").textContent = "Copied"), () => {});
});

/** Not blindly over what somebody else has made of it meanwhile; other changes of the room are no matter here. @param {number} priorityShare */
async function setShare(priorityShare) {
  for (;;) {
    try {
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
    const input = /** @type {HTMLInputElement} */ (share.elements.namedItem("priorityShare"));
    const changed = await setShare(input.valueAsNumber);
    if (changed) say(`The priority class has ${changed.priorityShare}% of the calls while both wait.`, "good");
  });
});

watchSignIn(() => attempt(show));
attempt(show);
