// @ts-check
// An event's vouchers and takings, for its operators: what was charged, and issuing, counting and revoking vouchers.
import { below } from "./addresses.js";
import { call } from "./api.js";
import { $, formOf, make, readData } from "./dom.js";
import { showPayments } from "./event-payments.js";
import { eventWords, momentWords } from "./moments.js";
import { attempt, say, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";
import { momentOf, offerTurns } from "./venue-time.js";
import { moneyIn, plural } from "./words.js";

/** @import { EventDefinition, Takings, TakingsLine, VoucherIssueAnswer, VoucherIssueList, VouchersIssued } from "../contract.d.ts" */

/** `exponents` are the digits of each currency's minor unit. @type {{eventId: number, exponents: Record<string, number>}} */
const { eventId, exponents } = readData("vouchers-data");
const path = `/api/ops/events/${eventId}`;
const form = formOf("issue");
const BASIS_POINTS = 100; // one percent
/** The event as the server has it. @type {EventDefinition} */
let event;

/** @param {string} name */
const field = (name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
const digits = () => exponents[event.currency] ?? 2;
/** @param {number} amount in minor units */
const money = (amount) => moneyIn(event.currency, digits())(amount);
/** @param {number} points */
const percent = (points) => `${points / BASIS_POINTS} %`;
/** @param {number} typeId */
const nameOf = (typeId) => event.ticketTypes.find((type) => type.ticketTypeId === typeId)?.ticketType ?? "";

/** @param {string} title @param {string} facts */
function entry(title, facts) {
  const words = make("div");
  words.append(make("b", title), make("p", facts, "muted small"));
  const item = make("li");
  item.append(words);
  return item;
}

/** @param {TakingsLine} line */
function takenLine(line) {
  const { amount, cancelledAmount, cancelledSeats, complimentarySeats, discounts, fees, prices, seats, tax } = line;
  const { taxBasisPoints, ticketType } = line;
  const facts = [
    `${plural(seats, "seat")}: ${money(prices)} in prices`,
    complimentarySeats && `${plural(complimentarySeats, "seat")} of them complimentary`,
    discounts && `${money(discounts)} less by vouchers`,
    fees && `${money(fees)} in fees`,
    taxBasisPoints && `${money(tax)} tax of ${percent(taxBasisPoints)}, ${line.taxIncluded ? "included" : "on top"}`,
    cancelledSeats && `${plural(cancelledSeats, "seat")} of ${money(cancelledAmount)} cancelled`,
  ].filter(Boolean).join(" · ");
  return entry(`${ticketType}: ${money(amount)}`, facts);
}

/** @param {VoucherIssueAnswer} issue */
function issueLine(issue) {
  const { amount, basisPoints, endsAt, issuedAt, issuedBy, label, revokedAt, revokedBy, ticketTypeIds } = issue;
  const facts = [
    `${basisPoints ? percent(basisPoints) : money(amount)} less a seat`,
    ticketTypeIds && `for ${ticketTypeIds.map(nameOf).join(", ")}`,
    `${plural(issue.vouchers, "voucher")}, ${count(issue.uses)} of ${
      plural(issue.vouchers * issue.usesMax, "use")
    } taken`,
    endsAt && `until ${eventWords(endsAt, event.timeZone).words}`,
    `issued by ${issuedBy}, ${momentWords(issuedAt, "date")}`,
    revokedAt && `revoked by ${revokedBy}, ${momentWords(revokedAt, "date")}`,
  ].filter(Boolean).join(" · ");
  const item = entry(label, facts);
  if (!revokedAt) item.append(revokeButton(issue));
  return item;
}

/** @param {VoucherIssueAnswer} issue */
function revokeButton({ issueId, label }) {
  const revoke = make("button", "Revoke", "button plain");
  revoke.type = "button";
  revoke.dataset.needs = "steward";
  revoke.setAttribute("aria-label", `Revoke ${label}`);
  revoke.addEventListener("click", () => {
    if (!confirm(`Revoke ${label}? Its vouchers can then be used no more. What was bought with one stays.`)) return;
    attempt("vouchers", async () => {
      await call("DELETE", `${path}/vouchers/${issueId}`);
      await show();
    });
  });
  return revoke;
}

async function show() {
  /** @type {[Promise<EventDefinition>, Promise<Takings>, Promise<VoucherIssueList>]} */
  const asked = [call("GET", path), call("GET", `${path}/takings`), call("GET", `${path}/vouchers`)];
  const [found, taken, { issues }] = await Promise.all(asked);
  event = found;
  for (const words of document.querySelectorAll("[data-zone]")) {
    words.textContent = `By the clock of ${event.timeZone}.`;
  }
  $("summary").textContent = event.name;
  $("unit-amount").textContent = `${event.currency} a seat`;
  if (field("type").children.length === 1) {
    field("type").append(
      ...event.ticketTypes.map(({ ticketType, ticketTypeId }) => new Option(ticketType, String(ticketTypeId))),
    );
  }
  $("taken").textContent = `${plural(taken.seats, "seat")} sold for ${money(taken.amount)}, of which ${
    money(taken.tax)
  } is tax.`;
  /** @type {HTMLAnchorElement} */ ($("taken-csv")).href = below(`${path}/takings.csv`);
  $("lines").replaceChildren(...taken.lines.map(takenLine));
  if (event.payments) showPayments(await call("GET", `${path}/payments`), money);
  $("issues").replaceChildren(...issues.map(issueLine));
  $("none").hidden = issues.length > 0;
  $("sign-in").hidden = true;
  $("vouchers").hidden = false;
}

field("endsAt").addEventListener("input", () => offerTurns(field("endsAt"), event.timeZone));

form.addEventListener("change", () => {
  const kind = new FormData(form).get("kind");
  for (const label of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-kind]"))) {
    label.hidden = label.dataset.kind !== kind;
    for (const input of label.querySelectorAll("input")) input.disabled = label.hidden;
  }
});

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt("vouchers", async () => {
    const fields = new FormData(form);
    const less = Number(String(fields.get("less")).trim().replace(",", "."));
    if (!(less > 0)) return say("Say by how much the price falls: a number above 0.");
    /** @type {Record<string, unknown>} */
    const body = { label: fields.get("label"), usesMax: Number(fields.get("usesMax")) };
    if (fields.get("unit") === "percent") body.basisPoints = Math.round(less * BASIS_POINTS);
    else body.amount = Math.round(less * 10 ** digits());
    if (fields.get("kind") === "named") body.code = fields.get("code");
    else body.count = Number(fields.get("count"));
    if (fields.get("type")) body.ticketTypeIds = [Number(fields.get("type"))];
    if (field("endsAt").value) {
      const moment = momentOf(field("endsAt"), event.timeZone);
      if (!moment) return say("The clocks at the venue go forward then: this time does not exist.");
      body.endsAt = moment;
    }
    /** @type {VouchersIssued} */
    const { codes } = await call("POST", `${path}/vouchers`, { body });
    /** @type {HTMLTextAreaElement} */ ($("issued-codes")).value = `${codes.join("\n")}\n`;
    $("issued").hidden = false;
    say(`Issued ${plural(codes.length, "voucher")}.`, [], true);
    await show();
    $("issued").scrollIntoView({ block: "nearest" });
  });
});

watchSignIn(() => attempt("vouchers", show));
watchSession("vouchers", eventId);
attempt("vouchers", show);
