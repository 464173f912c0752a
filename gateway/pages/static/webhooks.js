// @ts-check
// The operators' webhooks: where news is sent, whether it arrives, and each secret once.
import { call, Problem } from "./api.js";
import { $, copyTemplate, formOf, inputOf, make, setText } from "./dom.js";
import { momentWords } from "./moments.js";
import { askToSignIn, signedOut, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";

/** @import { DeliveryAnswer, DeliveryList, Resent, WebhookAnswer, WebhookList, WebhookLogList, WebhookSecret } from "../contract.d.ts" */

const REFRESH_MS = 5000;
const DELIVERIES_SHOWN = 20;
const API = "/api/ops/webhooks";
/** @param {string | null} at */
const when = (at) => (at ? momentWords(at, "daySeconds") : "–");
/** @type {Map<number, Webhook>} */
const webhooks = new Map();

/** @param {string} text */
function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

/**
 * Ask the server and say why it refuses. Where the session has ended, show the sign-in.
 * @template Answer
 * @param {() => Promise<Answer>} what @param {string} [done] told to a screen reader when it went well
 * @returns {Promise<{answer: Answer} | null>} null where it was refused
 */
async function ask(what, done) {
  say("");
  try {
    const answer = await what();
    if (done) $("announcer").textContent = done;
    return { answer };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) askToSignIn("webhooks");
    else say(error.message);
    return null;
  }
}

/** @param {string} secret @param {boolean} replaced whether there was another one before */
function showSecret(secret, replaced) {
  inputOf("secret-text").value = secret;
  $("secret-overlap").hidden = !replaced;
  $("secret").hidden = false;
  $("secret").focus();
}

class Webhook {
  /** @param {WebhookAnswer} now */
  constructor(now) {
    this.now = now;
    this.element = copyTemplate("webhook-template");
    this.details = /** @type {HTMLDetailsElement} */ (this.element.querySelector("details"));
    this.details.addEventListener("toggle", () => this.readDeliveries());
    const deeds = {
      toggle: () => this.toggle(),
      resend: () => this.resend(null),
      rotate: () => this.rotate(),
      remove: () => this.remove(),
    };
    for (const [name, deed] of Object.entries(deeds)) this.button(name).addEventListener("click", deed);
    $("list").append(this.element);
  }
  get path() {
    return `${API}/${this.now.webhookId}`;
  }
  /** @param {string} name */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.element.querySelector(`[data-do="${name}"]`));
  }
  /** @param {string} name */
  field(name) {
    return /** @type {HTMLElement} */ (this.element.querySelector(`[data-f="${name}"]`));
  }
  /** @param {string} name @param {string} text */
  put(name, text) {
    setText(this.field(name), text);
  }

  async toggle() {
    const enabled = !this.now.enabled;
    if (await ask(() => call("PATCH", this.path, { body: { enabled } }), enabled ? "Enabled." : "Disabled.")) {
      await refresh();
    }
  }
  /** @param {string | null} messageId */
  async resend(messageId) {
    const body = messageId ? { messageId } : {};
    const asked = await ask(() => /** @type {Promise<Resent>} */ (call("POST", `${this.path}/resend`, { body })));
    if (!asked) return;
    $("announcer").textContent = `${count(asked.answer.resent)} to be sent again.`;
    await refresh();
  }
  async rotate() {
    if (!confirm(`Make a new secret for ${this.now.url}? For a day messages are signed with the old one too.`)) return;
    const made = await ask(() => /** @type {Promise<WebhookSecret>} */ (call("POST", `${this.path}/rotate`)));
    if (made) showSecret(made.answer.secret, true);
  }
  async remove() {
    if (!confirm(`Remove ${this.now.url}? What waits for it is never sent.`)) return;
    if (await ask(() => call("DELETE", this.path), "Removed.")) await refresh();
  }

  /** @param {WebhookAnswer} now */
  draw(now) {
    this.now = now;
    const failing = now.enabled && now.failingSince;
    const state = this.field("state");
    state.textContent = now.enabled ? (failing ? "Failing" : "Enabled") : "Disabled";
    state.className = `tag ${now.enabled ? (failing ? "is-slow" : "is-open") : "is-shut"}`;
    this.put("url", now.url);
    const of = now.eventId === null ? "all events" : `event ${now.eventId}`;
    this.put("about", `${now.description ? `${now.description} · ` : ""}${now.kinds.join(", ")} of ${of}`);
    const trouble = now.disabledWhy === "gone"
      ? "It answered 410 Gone and was disabled. Its news waits until you enable it."
      : now.disabledWhy === "failing"
      ? "It failed for so long that it was disabled. Its news waits until you enable it."
      : failing
      ? `Every attempt has failed since ${when(now.failingSince)}.`
      : "";
    this.put("trouble", trouble);
    this.field("trouble").hidden = !trouble;
    this.put("deliveredAt", when(now.deliveredAt));
    this.put("pending", count(now.pending));
    this.put("dead", count(now.dead));
    this.button("toggle").textContent = now.enabled ? "Disable" : "Enable";
    this.button("resend").hidden = now.dead === 0;
    if (this.details.open) this.readDeliveries();
  }

  async readDeliveries() {
    if (!this.details.open) return;
    const path = `${this.path}/deliveries?limit=${DELIVERIES_SHOWN}`;
    const asked = await ask(() => /** @type {Promise<DeliveryList>} */ (call("GET", path)));
    if (!asked) return;
    const { deliveries } = asked.answer;
    this.field("nothing").hidden = deliveries.length > 0;
    const focused = document.activeElement?.closest("tr")?.dataset.message;
    this.field("deliveries").replaceChildren(...deliveries.map((one) => this.line(one)));
    if (focused) {
      /** @type {HTMLElement | null} */ (this.element.querySelector(`tr[data-message="${focused}"] button`))?.focus();
    }
  }
  /** @param {DeliveryAnswer} one */
  line(one) {
    const row = document.createElement("tr");
    row.dataset.message = one.messageId;
    row.title = one.messageId;
    const tries = one.attempts === 1 ? "first attempt" : `${one.attempts} attempts`;
    const went = one.state === "delivered"
      ? `delivered, ${tries}`
      : one.state === "dead"
      ? `given up after ${tries}: ${one.error}`
      : one.attempts === 0
      ? "waiting"
      : `${one.error || "under way"}; next at ${when(one.nextAttemptAt)}`;
    for (const text of [when(one.createdAt), one.kind, String(one.eventId), went]) row.insertCell().textContent = text;
    if (one.state === "dead") row.cells[3].className = "is-dead";
    const last = row.insertCell();
    if (one.state !== "pending") {
      const again = make("button", "Send again", "button plain");
      again.type = "button";
      again.addEventListener("click", () => this.resend(one.messageId));
      last.append(again);
    }
    return row;
  }
}

/** @param {WebhookLogList} log */
function drawLog(log) {
  $("log").hidden = log.entries.length === 0;
  $("log-lines").replaceChildren(
    ...log.entries.map((entry) => {
      const line = make("li");
      const time = make("time", when(entry.at));
      time.dateTime = entry.at;
      const change = entry.from && entry.to ? `${entry.from} → ${entry.to}` : entry.to || `${entry.from} removed`;
      line.append(time, `${entry.operator}, webhook ${entry.webhookId}: ${entry.field} ${change}`);
      return line;
    }),
  );
}

async function refresh() {
  /** @type {[Promise<WebhookList>, Promise<WebhookLogList>]} */
  const asked = [call("GET", API), call("GET", `${API}/log`)];
  const [found, log] = await Promise.all(asked);
  for (const now of found.webhooks) {
    let webhook = webhooks.get(now.webhookId);
    if (!webhook) webhooks.set(now.webhookId, webhook = new Webhook(now));
    webhook.draw(now);
  }
  const ids = new Set(found.webhooks.map((one) => one.webhookId));
  for (const [id, webhook] of webhooks) {
    if (ids.has(id)) continue;
    webhook.element.remove();
    webhooks.delete(id);
  }
  $("none").hidden = webhooks.size > 0;
  drawLog(log);
}

async function begin() {
  try {
    await refresh();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (signedOut(error)) return askToSignIn("webhooks");
    say("The server does not answer. Trying again…");
    $("webhooks").hidden = false;
    setTimeout(begin, REFRESH_MS);
    return;
  }
  if ($("message").textContent?.startsWith("The server does not answer")) say("");
  $("sign-in").hidden = true;
  $("webhooks").hidden = false;
  setTimeout(begin, REFRESH_MS);
}

/** @param {boolean} open */
function showForm(open) {
  $("add-form").hidden = !open;
  $("add").setAttribute("aria-expanded", String(open));
  if (open) /** @type {HTMLInputElement | null} */ (document.querySelector("#add-form [name=url]"))?.focus();
  else $("add").focus();
}
$("add").addEventListener("click", () => showForm(Boolean($("add-form").hidden)));
$("add-cancel").addEventListener("click", () => showForm(false));
$("add-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const form = formOf("add-form");
  const data = new FormData(form);
  const kinds = data.getAll("kinds");
  if (!kinds.length) return say("Choose at least one kind of news.");
  const eventId = Number(data.get("eventId")) || null;
  const body = {
    url: String(data.get("url")).trim(),
    kinds,
    eventId,
    description: String(data.get("description")).trim(),
  };
  const made = await ask(() => /** @type {Promise<WebhookSecret>} */ (call("POST", API, { body })));
  if (!made) return;
  form.reset();
  showForm(false);
  showSecret(made.answer.secret, false);
  await refresh();
});
$("secret-copy").addEventListener("click", async () => {
  const text = inputOf("secret-text");
  text.select();
  try {
    await navigator.clipboard.writeText(text.value);
    $("secret-copy").textContent = "Copied";
    $("announcer").textContent = "Copied.";
  } catch {
    $("announcer").textContent = "Selected: copy it with the keyboard.";
  }
});
$("secret-done").addEventListener("click", () => {
  inputOf("secret-text").value = "";
  $("secret-copy").textContent = "Copy";
  $("secret").hidden = true;
});

watchSignIn(begin);
watchSession("webhooks");

begin();
