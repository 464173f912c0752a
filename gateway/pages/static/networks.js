// @ts-check
// Networks: what came from where at an event, why a network is asked for proofs, and which ones operators let through or
// turn away.
import { call } from "./api.js";
import { $, formOf, make, setText } from "./dom.js";
import { line, lineButton } from "./lines.js";
import { momentWords } from "./moments.js";
import { askToSignIn, attempt, readOperator, say, watchSession, watchSignIn } from "./operator.js";
import { OtherTabs } from "./other-tabs.js";
import { SharedStream } from "./shared-stream.js";
import { count } from "./text.js";
import { plural } from "./words.js";

/** @import { NetworkRuleAnswer, NetworkRuleList, NetworkSeen, NetworksSeen, RoomAnswer, RoomList, SessionSeen } from "../contract.d.ts" */

const VIEW = "networks";
const API = "/api/ops/networks";
const READ_MS = 5000; // at least between two reads of what came from where
const form = formOf("add");
const chosen = /** @type {HTMLSelectElement} */ ($("event"));
/** @param {string} at */
const when = (at) => momentWords(at, "date");
/** @param {string} name */
const field = (name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
/** @type {SharedStream | null} */
let stream = null;
let readAt = 0;

/** Put a network into the form, for a reason still to be said. @param {string} network */
function name(network) {
  field("networks").value = network;
  field("reason").focus();
}

/** What points were answered with. @type {Record<string, string>} */
const ANSWERS = {
  nothing: "nothing",
  proof: "asked for a proof",
  captcha: "asked for a new proof each time",
  behind: "put behind the others",
  refuse: "refused",
};

/** @param {Record<string, number>} answered */
const answeredWords = (answered) =>
  Object.entries(answered).map(([word, number]) => `${ANSWERS[word]} ${count(number)}`).join(", ");

/** @param {SessionSeen} one */
function suspectLine(one) {
  const reasons = one.reasons.map(({ reason, points }) => `${reason}: ${plural(points, "point")}`);
  const answers = answeredWords(one.answered);
  const pardon = lineButton("Let go on…", `Let fan ${one.userId} go on`, () =>
    attempt(VIEW, async () => {
      const why = prompt("Why may this fan go on? The log keeps it.");
      if (!why) return;
      await call("POST", `/api/ops/rooms/${chosen.value}/fans/${one.userId}/pardon`, { body: { why } });
      say(`Fan ${one.userId} may go on for ten minutes.`, [], true);
    }));
  pardon.dataset.needs = "steward";
  return line(
    `Fan ${one.userId} in ${one.network}: ${plural(one.points, "point")}`,
    [...reasons, answers ? `answered: ${answers}` : ""].filter(Boolean).join(" · "),
    pardon,
  );
}

/** @param {NetworkSeen} one */
function seenRows(one) {
  const row = make("tr");
  const head = make("td", one.network);
  const { sessions, joins, proofs } = one.lately;
  const numbers = [sessions, joins, proofs, one.sessions, one.provenSessions, one.held, one.bought];
  const answered = make("td", one.answer === "proof" ? "asked for a proof" : "nothing");
  const act = make("td");
  const turn = lineButton("Turn away…", `Turn ${one.network} away`, () => name(one.network));
  turn.dataset.needs = "steward";
  act.append(turn);
  const points = make("td", count(one.points), one.points >= 100 ? "is-bad" : "");
  row.append(head, points, ...numbers.map((number) => make("td", count(number))), answered, act);
  const refused = Object.entries(one.refusedLately).map(([code, number]) => `${code} ${count(number)}`);
  const answers = answeredWords(one.answeredLately);
  const facts = [
    ...one.reasons.map(({ reason, points }) => `${reason}: ${plural(points, "point")}`),
    refused.length ? `refused: ${refused.join(", ")}` : "",
    answers ? `its sessions were answered: ${answers}` : "",
  ].filter(Boolean);
  if (!facts.length) return [row];
  const why = make("tr");
  const words = make("td", facts.join(" · "), "why");
  words.colSpan = 11;
  why.append(words);
  return [row, why];
}

async function showSeen() {
  readAt = Date.now();
  if (!chosen.value) return;
  /** @type {NetworksSeen} */
  const { networks, sessions } = await call("GET", `/api/ops/events/${chosen.value}/networks`);
  // A table under somebody's finger or reader is not drawn anew for nothing.
  const key = JSON.stringify([networks, sessions]);
  if ($("seen").dataset.key === key) return;
  $("seen").dataset.key = key;
  $("seen").replaceChildren(...networks.flatMap(seenRows));
  $("suspects").replaceChildren(
    ...(sessions.length ? sessions.map(suspectLine) : [make("li", "None lately.", "muted")]),
  );
  $("seen-none").hidden = networks.length > 0;
}

/** @param {RoomAnswer} room */
function showRefused({ errors }) {
  const most = Object.entries(errors).sort(([, one], [, other]) => other - one);
  const words = most.map(([code, number]) => `${code} ${count(number)}`).join(" · ");
  setText($("refused"), words ? `Refused lately in its lane: ${words}` : "Nothing was refused lately in its lane.");
}

/** @param {NetworkRuleAnswer} rule */
function ruleLine(rule) {
  const words = rule.verdict === "deny" ? "turned away" : "let through";
  const until = rule.until ? `until ${when(rule.until)}` : "for good";
  const remove = lineButton("Remove", `Remove the rule of ${rule.network}`, () =>
    attempt(VIEW, async () => {
      await call("DELETE", `${API}/${rule.ruleId}`);
      await showRules();
    }));
  remove.dataset.needs = "steward";
  return line(
    `${rule.network} is ${words}`,
    `${until} · ${rule.madeBy}, ${when(rule.madeAt)}: “${rule.reason}” · ${rule.ruleId}`,
    remove,
  );
}

async function showRules() {
  /** @type {NetworkRuleList} */
  const { inAll, rules } = await call("GET", API);
  $("in-all").textContent = inAll > rules.length
    ? `The newest ${count(rules.length)} of ${plural(inAll, "rule")}; admitone networks list has more.`
    : "Of networks in each other the smallest decides; then the system (AS64500), then the country.";
  $("rules").replaceChildren(...(rules.length ? rules.map(ruleLine) : [make("li", "None.", "muted")]));
}

/** @param {RoomAnswer} room */
function onRoom(room) {
  if (String(room.eventId) !== chosen.value) return;
  showRefused(room);
  if (Date.now() - readAt > READ_MS && !document.hidden) attempt(VIEW, showSeen);
}

function signIn() {
  stream?.close();
  stream = null;
  askToSignIn(VIEW);
}

async function show() {
  await readOperator();
  /** @type {RoomList} */
  const { rooms } = await call("GET", "/api/ops/rooms");
  const before = chosen.value;
  chosen.replaceChildren(...rooms.map((room) => {
    const option = make("option", `${room.name}, ${when(room.date)} (${room.eventId})`);
    option.value = String(room.eventId);
    return option;
  }));
  if (before) chosen.value = before;
  const first = rooms.find((room) => String(room.eventId) === chosen.value);
  if (first) showRefused(first);
  await Promise.all([showSeen(), showRules()]);
  $("sign-in").hidden = true;
  $(VIEW).hidden = false;
  // The desk's link names a network.
  const named = decodeURIComponent(location.hash.slice(1));
  if (named) {
    name(named);
    history.replaceState(null, "", location.pathname);
  }
  const told = (/** @type {boolean} */ connected) => setText($("link"), connected ? "Live" : "No connection");
  stream ??= new SharedStream(new OtherTabs("console"), "console", () => "/api/ops/stream", {
    room: onRoom,
    bye: () => {},
    "signed-out": signIn,
  }, told);
}

chosen.addEventListener("change", () => attempt(VIEW, show));
form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const networks = field("networks").value.split(/\s+/).filter(Boolean);
    const hours = field("hours").value;
    const { verdict, reason } = Object.fromEntries(new FormData(form));
    await call("POST", API, { body: { networks, verdict, reason, ...(hours ? { hours: Number(hours) } : {}) } });
    form.reset();
    await showRules();
    say(`${plural(networks.length, "network")} added, in force within a second.`, [], true);
  });
});

watchSignIn(() => attempt(VIEW, show));
watchSession(VIEW);
attempt(VIEW, show);
