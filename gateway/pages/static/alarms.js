// @ts-check
// Operators' alarms: what stands, who is told, and from which threshold on.
import { below } from "./addresses.js";
import { call, now, Problem } from "./api.js";
import { $, copyTemplate, formOf, make, setText } from "./dom.js";
import { eventWords, momentWords } from "./moments.js";
import { attempt, say, watchSignIn } from "./operator.js";
import { count } from "./text.js";

/** @import { AlarmAnswer, AlarmExceptionAnswer, AlarmList, AlarmLogList, AlarmReceiverAnswer, AlarmReceiverList, AlarmRuleList } from "../contract.d.ts" */

const REFRESH_MS = 5000;
const LOOKS_LATE_MS = 30_000;
const HOUR_MS = 3_600_000;
const API = "/api/ops/alarms";
const rulesForm = formOf("rules");
const addForm = formOf("add-form");
const exceptionForm = formOf("exception-form");
/** @type {Map<number, Receiver>} */
const receivers = new Map();
/** @type {AlarmRuleList} */
let rules = { rules: [], exceptions: [] };

/** @param {() => Promise<void>} act */
const attempted = (act) => attempt("alarms", act);
/** @param {string | null} at */
const when = (at) => (at ? momentWords(at, "daySeconds") : "–");
/** @param {HTMLFormElement} form @param {string} name */
const field = (form, name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
/** @param {string} text @param {string} label @param {() => Promise<void>} act */
function smallButton(text, label, act) {
  const button = make("button", text, "button plain");
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => attempted(act));
  return button;
}

// -- what stands

/** @param {AlarmAnswer} alarm */
function alarmLine(alarm) {
  const of = alarm.events.join(", ") + (alarm.more ? ` and ${count(alarm.more)} more` : "");
  const title = make("b", alarm.headline, alarm.isTrouble && !alarm.endedAt ? "is-trouble" : "");
  const { words } = eventWords(alarm.since, alarm.timeZone);
  const facts = [
    alarm.endedAt ? "" : alarm.sentence,
    alarm.threshold && `The threshold is ${alarm.threshold}.`,
    alarm.endedAt ? `From ${words} to ${eventWords(alarm.endedAt, alarm.timeZone).words}.` : `Since ${words}.`,
  ].filter(Boolean).join(" ");
  const item = make("li");
  item.append(title, make("p", facts));
  if (!of) return item;
  const about = make("p", "", "muted small");
  if (alarm.eventId) {
    const link = make("a", of);
    link.href = below(`/ops#${alarm.eventId}`);
    about.append(link);
  } else about.textContent = of;
  item.append(about);
  return item;
}

/** A list is only drawn anew where it differs, so that nothing is read out twice. @param {string} id @param {AlarmAnswer[]} alarms */
function drawAlarms(id, alarms) {
  const key = JSON.stringify(alarms);
  if ($(id).dataset.key === key) return;
  $(id).dataset.key = key;
  $(id).replaceChildren(...alarms.map(alarmLine));
}

/** @param {AlarmList} list */
function drawStanding({ firing, ended, lookedAt }) {
  drawAlarms("firing", firing);
  drawAlarms("ended", ended);
  $("calm").hidden = firing.length > 0;
  $("over").hidden = ended.length === 0;
  $("standing").classList.toggle("has-alarm", firing.some((one) => one.isTrouble));
  const late = lookedAt === null || now() - Date.parse(lookedAt) > LOOKS_LATE_MS;
  setText($("looked"), late ? "No worker looks at the figures: nobody is told" : "Figures are watched");
  $("looked").classList.toggle("is-lost", late);
}

// -- who is told

/** @param {HTMLFormElement} form */
const chosenKinds = (form) => new FormData(form).getAll("kinds");

class Receiver {
  /** @param {AlarmReceiverAnswer} state */
  constructor(state) {
    this.state = state;
    this.element = copyTemplate("receiver-template");
    this.form = /** @type {HTMLFormElement} */ (this.element.querySelector("form"));
    this.quiet = /** @type {HTMLSelectElement} */ (this.element.querySelector("[data-do=quiet]"));
    this.button("test").addEventListener("click", () => attempted(() => this.test()));
    this.button("loud").addEventListener("click", () => attempted(() => this.change({ quietUntil: null })));
    this.button("remove").addEventListener("click", () => attempted(() => this.remove()));
    this.quiet.addEventListener("change", () => {
      const until = new Date(now() + Number(this.quiet.value) * HOUR_MS).toISOString();
      this.quiet.value = "";
      attempted(() => this.change({ quietUntil: until }));
    });
    this.form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      attempted(async () => {
        await this.change({ kinds: chosenKinds(this.form) });
        say(`Saved for ${this.name}.`, [], true);
      });
    });
    $("receivers").append(this.element);
    this.check(state);
  }
  get path() {
    return `${API}/receivers/${this.state.receiverId}`;
  }
  get name() {
    return this.state.name || this.state.address;
  }
  /** @param {string} name */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.element.querySelector(`[data-do="${name}"]`));
  }
  /** @param {string} name */
  part(name) {
    return /** @type {HTMLElement} */ (this.element.querySelector(`[data-f="${name}"]`));
  }

  async test() {
    await call("POST", `${this.path}/test`);
    say(`A test alarm is on its way to ${this.name}.`, [], true);
  }
  /** @param {Record<string, unknown>} body */
  async change(body) {
    this.check(await call("PATCH", this.path, { body }));
    await show();
  }
  async remove() {
    if (!confirm(`Tell ${this.name} nothing more?`)) return;
    await call("DELETE", this.path);
    await show();
    $("add").focus();
  }

  /** Check the boxes of what it hears of. @param {AlarmReceiverAnswer} state */
  check({ kinds }) {
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (this.form.querySelectorAll("[name=kinds]"))) {
      box.checked = kinds.some((kind) => kind === box.value);
    }
  }

  /** @param {AlarmReceiverAnswer} state */
  draw(state) {
    this.state = state;
    const quiet = Boolean(state.quietUntil) && Date.parse(String(state.quietUntil)) > now();
    const bad = state.gone || state.failingSince;
    const [words, tone] = state.gone
      ? ["Gone", "is-shut"]
      : quiet
      ? ["Quiet", "is-shut"]
      : state.failingSince
      ? ["Failing", "is-slow"]
      : ["On", "is-open"];
    setText(this.part("title"), this.name);
    setText(this.part("state"), words);
    this.part("state").className = `tag ${tone}`;
    const by = { mail: "mail", chat: "chat", push: "browser" }[state.channel];
    const hears = state.kinds.length ? plainKinds(state.kinds.length) : "all alarms";
    const facts = [
      state.name ? `${by}: ${state.address}` : by,
      hears,
      quiet ? `quiet until ${momentWords(String(state.quietUntil), "day")}` : "",
      state.deliveredAt ? `last told ${when(state.deliveredAt)}` : "not told yet",
    ];
    setText(this.part("about"), facts.filter(Boolean).join(" · "));
    const why = state.gone
      ? `This address is told no more: ${state.error}. A test that arrives brings it back.`
      : `Since ${when(state.failingSince)}: ${state.error}`;
    setText(this.part("error"), bad ? why : "");
    this.part("error").hidden = !bad;
    this.button("loud").hidden = !quiet;
    setText(this.part("quiet-label"), `Keep ${this.name} quiet`);
    this.button("test").setAttribute("aria-label", `Send a test to ${this.name}`);
    this.button("remove").setAttribute("aria-label", `Remove ${this.name}`);
  }
}

/** @param {number} n */
const plainKinds = (n) => `${count(n)} of ${count(rules.rules.length)} alarms`;

/** @param {AlarmReceiverAnswer[]} found */
function drawReceivers(found) {
  for (const state of found) {
    let receiver = receivers.get(state.receiverId);
    if (!receiver) receivers.set(state.receiverId, receiver = new Receiver(state));
    receiver.draw(state);
  }
  for (const [id, receiver] of receivers) {
    if (found.some((one) => one.receiverId === id)) continue;
    receiver.element.remove();
    receivers.delete(id);
  }
  $("nobody").hidden = found.length > 0;
}

/** @param {boolean} open */
function showAdding(open) {
  addForm.hidden = !open;
  $("add").setAttribute("aria-expanded", String(open));
  (open ? field(addForm, "channel") : $("add")).focus();
}
$("add").addEventListener("click", () => showAdding(Boolean(addForm.hidden)));
$("add-cancel").addEventListener("click", () => showAdding(false));
function showChannel() {
  for (const label of /** @type {NodeListOf<HTMLElement>} */ (addForm.querySelectorAll("[data-channel]"))) {
    label.hidden = label.dataset.channel !== field(addForm, "channel").value;
    for (const input of label.querySelectorAll("input")) input.disabled = label.hidden;
  }
}
field(addForm, "channel").addEventListener("change", showChannel);
addForm.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempted(async () => {
    const channel = field(addForm, "channel").value;
    const body = {
      [channel]: field(addForm, channel).value.trim(),
      name: field(addForm, "name").value.trim(),
      kinds: chosenKinds(addForm),
    };
    await call("POST", `${API}/receivers`, { body });
    addForm.reset();
    showChannel();
    showAdding(false);
    await show();
    say("Added. Send a test to see that it arrives.", [], true);
  });
});

const { pushKey } = $("alarms").dataset;
$("add-browser").hidden = !(pushKey && "PushManager" in window && navigator.serviceWorker);
$("add-browser").addEventListener("click", () =>
  attempted(async () => {
    if (await Notification.requestPermission() !== "granted") {
      return say("This browser does not allow notifications of this site. Allow them in its settings, then try again.");
    }
    await navigator.serviceWorker.register(below("/alerts.js"));
    const { pushManager } = await navigator.serviceWorker.ready;
    const options = { userVisibleOnly: true, applicationServerKey: pushKey };
    const { endpoint, keys } = (await pushManager.subscribe(options)).toJSON();
    const name = `Browser of ${new Date().toLocaleDateString("en", { day: "numeric", month: "long" })}`;
    await call("POST", `${API}/receivers`, { body: { push: { endpoint, keys }, name } });
    await show();
    say("This browser is told, also when the page is closed. Send a test to see it.", [], true);
  }));

// -- from which threshold on

const rows = /** @type {NodeListOf<HTMLElement>} */ (rulesForm.querySelectorAll("[data-kind]"));
/** @param {HTMLElement} row @param {string} name */
const input = (row, name) => /** @type {HTMLInputElement | null} */ (row.querySelector(`[name="${name}"]`));

/** What the form says of a kind. @param {HTMLElement} row */
function ruleIn(row) {
  const threshold = input(row, "threshold")?.valueAsNumber;
  const rule = {
    enabled: Boolean(input(row, "enabled")?.checked),
    forSeconds: input(row, "forSeconds")?.valueAsNumber,
  };
  return threshold === undefined ? rule : { ...rule, threshold };
}

/** What is in force of a kind. @param {HTMLElement} row */
const ruleOf = (row) => rules.rules.find((rule) => rule.kind === row.dataset.kind);

/** @param {HTMLElement} row */
function markEdited(row) {
  const rule = ruleOf(row);
  row.classList.toggle("is-off", !input(row, "enabled")?.checked);
  for (const name of /** @type {const} */ (["threshold", "forSeconds"])) {
    const box = input(row, name);
    box?.classList.toggle("is-edited", Boolean(rule) && box.valueAsNumber !== rule?.[name]);
  }
}

/** @param {HTMLElement} row */
const isEdited = (row) => {
  const rule = ruleOf(row);
  return Boolean(rule) && Object.entries(ruleIn(row)).some(([name, value]) => Reflect.get(rule ?? {}, name) !== value);
};

/** Show the rules in force, and keep what somebody is typing. @param {AlarmRuleList} found */
function drawRules(found) {
  const edited = new Set([...rows].filter(isEdited));
  rules = found;
  for (const row of rows) {
    const rule = ruleOf(row);
    if (rule && !edited.has(row)) {
      const [enabled, threshold, forSeconds] = ["enabled", "threshold", "forSeconds"].map((name) => input(row, name));
      if (enabled) enabled.checked = rule.enabled;
      if (threshold) threshold.valueAsNumber = rule.threshold;
      if (forSeconds) forSeconds.valueAsNumber = rule.forSeconds;
    }
    markEdited(row);
  }
  drawExceptions(found.exceptions);
}
for (const row of rows) row.addEventListener("input", () => markEdited(row));

$("defaults").addEventListener("click", () => {
  for (const row of rows) {
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (row.querySelectorAll("[data-default]"))) {
      box.value = String(box.dataset.default);
    }
    const enabled = input(row, "enabled");
    if (enabled) enabled.checked = true;
    markEdited(row);
  }
});

rulesForm.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempted(async () => {
    const edited = [...rows].filter(isEdited);
    for (const row of edited) drawRules(await call("PUT", `${API}/rules/${row.dataset.kind}`, { body: ruleIn(row) }));
    await show();
    say(edited.length ? "Saved. It holds within seconds." : "Nothing was changed.", [], true);
  });
});

/** @param {AlarmExceptionAnswer} one */
function exceptionLine(one) {
  const rule = rules.rules.find(({ kind }) => kind === one.kind);
  const event = one.event || `Event ${one.eventId}`;
  const how = !one.enabled ? "off" : rule?.unit ? `from ${count(one.threshold)} ${rule.unit}` : "on";
  const item = make("li");
  const path = `${API}/rules/${one.kind}/events/${one.eventId}`;
  const end = async () => {
    await call("DELETE", path);
    await show();
  };
  item.append(`${event} (${one.eventId}): ${rule?.headline ?? one.kind}, ${how} `);
  item.append(smallButton("Remove", `Remove the threshold of ${event}`, end));
  return item;
}

/** @param {AlarmExceptionAnswer[]} exceptions */
function drawExceptions(exceptions) {
  const key = JSON.stringify(exceptions);
  if ($("exceptions").dataset.key === key) return;
  $("exceptions").dataset.key = key;
  $("exceptions").replaceChildren(...exceptions.map(exceptionLine));
}

const kindMenu = /** @type {HTMLSelectElement} */ (exceptionForm.elements.namedItem("kind"));
function showException() {
  const { min, max, unit, default: usual } = kindMenu.selectedOptions[0].dataset;
  const box = field(exceptionForm, "threshold");
  const label = /** @type {HTMLElement} */ (exceptionForm.querySelector("[data-part=threshold]"));
  label.hidden = !unit;
  box.disabled = !unit;
  if (!unit) return;
  setText(/** @type {Element} */ (label.firstElementChild), `From (${unit})`);
  box.min = String(min);
  box.max = String(max);
  box.value = String(usual);
}
kindMenu.addEventListener("change", showException);
showException();
exceptionForm.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempted(async () => {
    const box = field(exceptionForm, "threshold");
    const body = {
      enabled: field(exceptionForm, "enabled").checked,
      forSeconds: rules.rules.find(({ kind }) => kind === kindMenu.value)?.forSeconds,
      ...(box.disabled ? {} : { threshold: box.valueAsNumber }),
    };
    const eventId = field(exceptionForm, "eventId").value;
    drawRules(await call("PUT", `${API}/rules/${kindMenu.value}/events/${eventId}`, { body }));
    await show();
    say("Set for this event. It holds within seconds.", [], true);
  });
});

// -- all of it

/** @param {AlarmLogList} log */
function drawLog({ entries }) {
  $("log").hidden = entries.length === 0;
  $("log-lines").replaceChildren(
    ...entries.map((entry) => {
      const of = entry.subject === "alarm_receiver"
        ? `receiver ${entry.id}`
        : entry.id
        ? `event ${entry.id}`
        : "all events";
      const time = make("time", when(entry.at));
      time.dateTime = entry.at;
      const change = entry.from && entry.to
        ? `${entry.from} → ${entry.to}`
        : entry.to || `${entry.from || "all"} removed`;
      const line = make("li");
      line.append(time, `${entry.operator}, ${of}: ${entry.field.replaceAll("_", " ")} ${change}`);
      return line;
    }),
  );
}

async function show() {
  /** @type {[Promise<AlarmList>, Promise<AlarmRuleList>, Promise<AlarmReceiverList>, Promise<AlarmLogList>]} */
  const asked = [
    call("GET", API),
    call("GET", `${API}/rules`),
    call("GET", `${API}/receivers`),
    call("GET", `${API}/log`),
  ];
  const [standing, found, told, log] = await Promise.all(asked);
  drawStanding(standing);
  drawRules(found);
  drawReceivers(told.receivers);
  drawLog(log);
  $("sign-in").hidden = true;
  $("alarms").hidden = false;
}

setInterval(async () => {
  if ($("alarms").hidden || document.hidden) return;
  try {
    await show();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    setText($("looked"), "The server does not answer");
    $("looked").classList.add("is-lost");
  }
}, REFRESH_MS);

watchSignIn(() => attempted(show));
attempted(show);
