// @ts-check
// The desk for fans: find one, see the history, and help. Every act is logged with its reason.
import { below } from "./addresses.js";
import { call } from "./api.js";
import { $, buttonOf, formOf, make, readData } from "./dom.js";
import { momentWords } from "./moments.js";
import { attempt, readOperator, say, watchSession, watchSignIn } from "./operator.js";
import { moneyIn, plural } from "./words.js";

/** @import { FanFile, FoundFanAnswer, FoundFans, FanPlace } from "../contract.d.ts" */

const VIEW = "desk";
const LONGER_SECONDS = 300;
/** @type {Record<string, number>} */
const exponents = readData("desk-data").exponents;
/** @param {string} at */
const when = (at) => momentWords(at, "date");
/** The fan in view, by the address of the fan's file. */
let path = "";

/** What stands first in words, with what is said of it below, and perhaps a button. @param {string} words @param {string} about @param {HTMLButtonElement[]} buttons */
function line(words, about, ...buttons) {
  const box = make("div");
  box.append(make("b", words), make("p", about, "muted small"));
  const item = make("li");
  item.append(box, ...buttons);
  return item;
}

/** @param {string} words @param {string} label @param {() => Promise<unknown>} act */
function button(words, label, act) {
  const made = make("button", words, "button plain");
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => help(act));
  return made;
}

/** Why the operator does it; without a reason nothing is done. */
function reason() {
  const form = formOf("act");
  return form.reportValidity() ? String(new FormData(form).get("why")).trim() : "";
}

/** @param {() => Promise<unknown>} act */
async function help(act) {
  if (!reason()) return;
  await attempt(VIEW, async () => {
    await act();
    await show();
    say("Done, and logged.", [], true);
  });
}

/** @param {string} id @param {HTMLElement[]} lines */
function list(id, lines) {
  $(id).replaceChildren(...(lines.length ? lines : [make("li", "None.", "muted")]));
}

/** @param {FanPlace | null} place */
function placeWords(place) {
  if (!place) return "This event has no line.";
  const facts = [
    place.state === "waiting"
      ? `waits at position ${place.position}`
      : place.state === "none"
      ? "not in line"
      : place.state,
    place.ticketNumber ? `number ${place.ticketNumber}` : "",
    place.priority ? "priority class" : "",
    place.passUntil ? `inside until ${when(place.passUntil)}` : "",
  ];
  return facts.filter(Boolean).join(" · ");
}

async function show() {
  /** @type {FanFile} */
  const file = await call("GET", path);
  $("fan-title").textContent = `Fan ${file.userId} at ${file.eventName}`;
  $("fan-place").textContent = placeWords(file.place);
  const stays = !file.place || ["called", "admitted", "lobby"].includes(file.place.state);
  buttonOf("put-old").disabled = stays || file.place?.state === "waiting";
  buttonOf("put-front").disabled = stays;
  list(
    "holds",
    file.holds.map((hold) => {
      const live = hold.state === "held" && Date.parse(hold.expiresAt) > Date.now();
      const longer = button(
        "5 minutes longer",
        `5 minutes longer: ${plural(hold.seats, "seat")}`,
        () =>
          call("POST", `${path}/hold`, {
            body: { reservationId: hold.reservationId, seconds: LONGER_SECONDS, why: reason() },
          }),
      );
      return line(
        `${plural(hold.seats, "seat")}, ${live ? "held" : hold.state === "held" ? "over" : hold.state}`,
        `from ${when(hold.madeAt)} until ${when(hold.expiresAt)}`,
        ...(live ? [longer] : []),
      );
    }),
  );
  list("fan-networks", [...new Set(file.holds.map((hold) => hold.network))].filter(Boolean).map(networkLine));
  list(
    "purchases",
    file.purchases.map((one) =>
      line(
        `${plural(one.seats, "seat")}, ${moneyIn(one.currency, exponents[one.currency] ?? 2)(one.totalAmount)}`,
        `${one.status}, ${when(one.purchaseAt)} · ${one.purchaseId}`,
      )
    ),
  );
  $("addresses").textContent = Object.values(file.addresses).join(", ") || "The fan gave no address.";
  list(
    "messages",
    file.messages.map((one) =>
      line(
        `${one.kind} by ${one.channel} to ${one.address}`,
        `${one.state}, ${when(one.createdAt)}${one.error ? ` · ${one.error}` : ""}`,
        ...(one.state === "queued" ? [] : [
          button("Send again", `Send again: ${one.kind}`, () =>
            call("POST", `${path}/messages`, { body: { messageId: one.messageId, why: reason() } })),
        ]),
      )
    ),
  );
  list("history", file.history.map((one) => line(`${one.state}: ${one.reason.replaceAll("_", " ")}`, when(one.at))));
  list(
    "acts",
    file.acts.map((one) => line(`${one.what}: ${one.detail}`, `${one.operator}, ${when(one.at)}: “${one.why}”`)),
  );
  $("file").hidden = false;
}

/** @param {string} network */
function networkLine(network) {
  const link = make("a", "Turn away…", "button plain");
  link.href = below(`/ops/networks#${encodeURIComponent(network)}`);
  link.setAttribute("aria-label", `Turn ${network} away`);
  const item = make("li", network);
  item.append(link);
  return item;
}

/** @param {FoundFanAnswer} fan */
function foundLine(fan) {
  const open = make("button", "Open", "button quiet");
  open.type = "button";
  open.setAttribute("aria-label", `Open fan ${fan.userId} at ${fan.eventName}`);
  open.addEventListener("click", () => attempt(VIEW, () => openFile(fan)));
  return line(`Fan ${fan.userId} at ${fan.eventName}`, `event ${fan.eventId}, found by ${fan.foundBy}`, open);
}

/** @param {FoundFanAnswer} fan */
async function openFile(fan) {
  path = `/api/ops/rooms/${fan.eventId}/fans/${fan.userId}`;
  await show();
  $("fan-title").focus();
}

formOf("search").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const fields = new FormData(formOf("search"));
    const asked = new URLSearchParams({ q: String(fields.get("q")).trim() });
    if (fields.get("eventId")) asked.set("eventId", String(fields.get("eventId")));
    /** @type {FoundFans} */
    const { fans } = await call("GET", `/api/ops/desk?${asked}`);
    $("file").hidden = true;
    $("found").hidden = false;
    $("found-none").hidden = fans.length > 0;
    $("found-list").replaceChildren(...fans.map(foundLine));
    if (fans.length === 1) await openFile(fans[0]);
  });
});
formOf("act").addEventListener("submit", (submit) => submit.preventDefault());
for (const [id, where] of [["put-old", "old"], ["put-front", "front"]]) {
  $(id).addEventListener("click", () => help(() => call("POST", `${path}/place`, { body: { where, why: reason() } })));
}

async function begin() {
  await readOperator();
  $("sign-in").hidden = true;
  $(VIEW).hidden = false;
}

watchSignIn(() => attempt(VIEW, begin));
watchSession(VIEW);
attempt(VIEW, begin);
