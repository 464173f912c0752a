// @ts-check
// An event's orders, for its office: find one, help its fan, give tickets away, and set what fans answer.
import { below } from "./addresses.js";
import { call } from "./api.js";
import { $, formOf, make, readData } from "./dom.js";
import { momentWords } from "./moments.js";
import { attempt, say, watchSession, watchSignIn } from "./operator.js";
import { moneyIn, plural } from "./words.js";

/** @import { AsksAnswer, EventDefinition, OfficeOrder, OrderLine, OrderList, OrderSeat, SellerAnswer } from "../contract.d.ts" */
/** What became of a command. @typedef {{status: string, problem?: {detail: string}}} JobEnd */

const VIEW = "orders";
/** `exponents` are the digits of each currency's minor unit. @type {{eventId: number, exponents: Record<string, number>}} */
const { eventId, exponents } = readData("orders-data");
const path = `/api/ops/events/${eventId}`;
/** What is searched for; empty for all. */
let sought = "";
/** Leads to the next page of the list. @type {number | null} */
let cursor = null;
/** The order in view. @type {OfficeOrder | null} */
let shown = null;
/** What the event asks now: numbers and texts. @type {[number, string][]} */
let questions = [];

/** @param {string} currency @param {number} amount in minor units */
const money = (currency, amount) => moneyIn(currency, exponents[currency] ?? 2)(amount);
/** @param {string} at */
const when = (at) => momentWords(at, "date");
/** @param {HTMLFormElement} form @param {string} name */
const input = (form, name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
/** @param {string} id @param {string} name */
const text = (id, name) => String(new FormData(formOf(id)).get(name) ?? "").trim();

/** What stands first in words, with what is said of it below, and perhaps a button. @param {string} words @param {string} about @param {HTMLButtonElement[]} buttons */
function line(words, about, ...buttons) {
  const box = make("div");
  box.append(make("b", words), make("p", about, "muted small"));
  const item = make("li");
  item.append(box, ...buttons);
  return item;
}

/** @param {string} words @param {string} label @param {() => Promise<void>} act */
function button(words, label, act) {
  const made = make("button", words, "button plain");
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => attempt(VIEW, act));
  return made;
}

/** @param {OrderLine} order */
function orderLine(order) {
  const { currency, givenBy, mail, name, orderCode, purchaseAt, seats, status, totalAmount } = order;
  const facts = [
    name,
    mail,
    `${plural(seats, "seat")}, ${givenBy ? `complimentary, given by ${givenBy}` : money(currency, totalAmount)}`,
    status !== "confirmed" && status.replaceAll("_", " "),
    when(purchaseAt),
  ].filter(Boolean).join(" · ");
  return line(orderCode, facts, button("Open", `Open order ${orderCode}`, () => open(order.purchaseId)));
}

/** @param {boolean} isNext whether the lines are added to those that are there */
async function list(isNext = false) {
  const asked = new URLSearchParams({ q: sought });
  if (isNext && cursor) asked.set("cursor", String(cursor));
  /** @type {OrderList} */
  const found = await call("GET", `${path}/orders?${asked}`);
  cursor = found.cursor;
  const lines = found.orders.map(orderLine);
  if (isNext) $("list").append(...lines);
  else $("list").replaceChildren(...lines);
  $("list-title").textContent = sought ? `Found for “${sought}”` : "The latest";
  $("none").hidden = $("list").children.length > 0;
  $("more").hidden = cursor === null;
}

/** @param {string} purchaseId */
async function open(purchaseId) {
  await show(purchaseId);
  $("order-title").focus();
}

/** @param {string} purchaseId */
async function show(purchaseId) {
  /** @type {OfficeOrder} */
  const order = await call("GET", `${path}/orders/${purchaseId}`);
  shown = order;
  $("order-title").textContent = `Order ${order.orderCode}`;
  $("order-facts").textContent = [
    order.status.replaceAll("_", " "),
    order.givenBy ? `complimentary, given by ${order.givenBy}` : money(order.currency, order.totalAmount),
    when(order.purchaseAt),
    order.termsVersion && `agreed to terms ${order.termsVersion}`,
  ].filter(Boolean).join(" · ");
  $("order-seats").replaceChildren(...order.seats.map((seat) => seatLine(order, seat)));
  $("order-answers").replaceChildren(
    ...questionsOf(order).map(([questionId, question]) => {
      const field = make("input");
      field.name = `answer-${questionId}`;
      field.maxLength = 1000;
      field.autocomplete = "off";
      field.value = answerOf(order, questionId);
      const label = make("label");
      label.append(make("span", question), field);
      return label;
    }),
  );
  $("order-money").replaceChildren(
    ...order.payments.map(({ amount, currency, paidAt, provider }) =>
      line(`Paid ${money(currency, amount)}`, `${provider}, ${when(paidAt)}`)
    ),
    ...order.refunds.map(({ amount, cause, createdAt, state }) =>
      line(`Goes back ${money(order.currency, amount)}`, `${cause.replaceAll("_", " ")}, ${state}, ${when(createdAt)}`)
    ),
  );
  $("order-money").append(...order.invoices.map(({ amount, corrects, madeAt, number, tax }) =>
    line(
      `${corrects ? "Credit note" : "Invoice"} ${number}`,
      [
        corrects && `corrects ${corrects}`,
        money(order.currency, amount),
        `tax in it ${money(order.currency, tax)}`,
        when(madeAt),
      ].filter(Boolean).join(", "),
    )
  ));
  const invoice = /** @type {HTMLAnchorElement} */ ($("invoice"));
  invoice.hidden = order.invoices.length === 0;
  invoice.href = below(`${path}/orders/${order.purchaseId}/invoice.pdf`);
  input(formOf("act"), "name").value = order.name ?? "";
  input(formOf("act"), "mail").value = order.mail ?? "";
  input(formOf("act"), "address").value = order.address;
  $("order").hidden = false;
}

/** What the event asks now, and what the fan was asked. @param {OfficeOrder} order @returns {[number, string][]} */
function questionsOf(order) {
  const answered = order.answers.map((
    { question, questionId },
  ) => /** @type {[number, string]} */ ([questionId, question]));
  return [...new Map([...questions, ...answered])].sort(([a], [b]) => a - b);
}

/** @param {OfficeOrder} order @param {number} questionId */
function answerOf(order, questionId) {
  return order.answers.find((one) => one.questionId === questionId)?.answer ?? "";
}

/** @param {OfficeOrder} order @param {OrderSeat} seat */
function seatLine(order, seat) {
  const { amount, cancelledAt, handedOn, rowNumber, seatNumber, ticketType, ticketTypeId } = seat;
  const words = `${ticketType}, row ${seat.row} seat ${seat.seat}`;
  const attendee = order.attendees.find((one) =>
    one.ticketTypeId === ticketTypeId && one.rowNumber === rowNumber && one.seatNumber === seatNumber
  );
  const facts = [
    attendee?.name,
    money(order.currency, amount),
    handedOn && "handed on",
    cancelledAt && `cancelled ${when(cancelledAt)}`,
  ].filter(Boolean).join(" · ");
  if (cancelledAt || handedOn) return line(words, facts);
  const back = button("Take back", `Take back ${words}`, () => refund([{ ticketTypeId, rowNumber, seatNumber }]));
  back.dataset.needs = "owner";
  return line(words, facts, back);
}

/** @param {{ticketTypeId: number, rowNumber: number, seatNumber: number}[] | null} details */
async function refund(details) {
  const order = shown;
  if (!order || !formOf("act").reportValidity()) return;
  const what = details ? "this ticket" : "all tickets of this order";
  if (!confirm(`Take back ${what}? The seats are sold again, and all that was paid for them goes back.`)) return;
  const body = { ...(details ? { details } : {}), why: text("act", "why") };
  /** @type {JobEnd} */
  const job = await call("POST", `${path}/orders/${order.purchaseId}/cancel`, { body });
  if (job.problem) return say(job.problem.detail);
  await show(order.purchaseId);
  say(job.status === "succeeded" ? "Taken back." : "It is being taken back.", [], true);
}

formOf("search").addEventListener("submit", (submit) => {
  submit.preventDefault();
  sought = text("search", "q");
  attempt(VIEW, async () => {
    await list();
    $("list-title").focus();
  });
});
$("more").addEventListener("click", () => attempt(VIEW, () => list(true)));
formOf("act").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    if (!shown) return;
    const name = text("act", "name");
    const mail = text("act", "mail");
    const order = shown;
    const answers = questionsOf(order).map(([questionId]) => ({
      questionId,
      answer: text("act", `answer-${questionId}`),
    }))
      .filter(({ answer, questionId }) => answer !== answerOf(order, questionId));
    const address = text("act", "address");
    const body = {
      ...(name && name !== shown.name ? { name } : {}),
      ...(mail && mail !== shown.mail ? { mail } : {}),
      ...(address === shown.address ? {} : { address }),
      ...(answers.length ? { answers } : {}),
      why: text("act", "why"),
    };
    await call("PATCH", `${path}/orders/${shown.purchaseId}`, { body });
    await Promise.all([show(shown.purchaseId), list()]);
    say("Saved, and logged.", [], true);
  });
});
$("resend").addEventListener("click", () =>
  attempt(VIEW, async () => {
    if (!shown || !formOf("act").reportValidity()) return;
    await call("POST", `${path}/orders/${shown.purchaseId}/tickets`, { body: { why: text("act", "why") } });
    say("The tickets are on their way.", [], true);
  }));
$("refund").addEventListener("click", () => attempt(VIEW, () => refund(null)));
formOf("gift").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const first = Number(text("gift", "seat"));
    const seats = Array.from({ length: Number(text("gift", "count")) }, (_, index) => ({
      ticketTypeId: Number(text("gift", "type")),
      rowNumber: Number(text("gift", "row")),
      seatNumber: first + index,
    }));
    const body = { name: text("gift", "name"), mail: text("gift", "mail"), seats, why: text("gift", "why") };
    /** @type {JobEnd} */
    const job = await call("POST", `${path}/gifts`, { body });
    if (job.problem) return say(job.problem.detail);
    await list();
    say(job.status === "succeeded" ? "Given." : "The tickets are being given.", [], true);
  });
});
formOf("asks").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const questions = text("asks", "questions").split("\n").map((one) => one.trim()).filter(Boolean);
    const body = {
      asks: input(formOf("asks"), "asks").checked,
      attendees: input(formOf("asks"), "attendees").checked,
      address: input(formOf("asks"), "address").checked,
      questions: questions.map((one) => ({ text: one.replace(/\s*\*$/, ""), required: one.endsWith("*") })),
      terms: text("asks", "terms"),
      why: text("asks", "why"),
    };
    /** @type {AsksAnswer} */
    const asked = await call("PUT", `${path}/asks`, { body });
    showAsks(asked);
    say("Saved. It holds for the next checkout.", [], true);
  });
});

/** @param {AsksAnswer} asked */
function showAsks({ address, asks, attendees, questions: asked, terms, termsVersion }) {
  const form = formOf("asks");
  questions = asked.map(({ questionId, text }) => [questionId, text]);
  input(form, "asks").checked = asks;
  input(form, "attendees").checked = attendees;
  input(form, "address").checked = address;
  input(form, "questions").value = asked.map((one) => `${one.text}${one.required ? " *" : ""}`).join("\n");
  input(form, "terms").value = terms;
  $("terms-version").textContent = termsVersion ? `Version ${termsVersion}. A new text is a new version.` : "";
}

const SELLER_FIELDS = /** @type {const} */ (["name", "address", "taxId", "note", "series", "creditSeries"]);
/** @param {SellerAnswer} seller */
function showSeller(seller) {
  for (const name of SELLER_FIELDS) input(formOf("seller"), name).value = seller[name];
}

formOf("seller").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(VIEW, async () => {
    const fields = [...SELLER_FIELDS, "why"].map((name) => [name, text("seller", name)]);
    showSeller(await call("PUT", `${path}/seller`, { body: Object.fromEntries(fields) }));
    say("Saved. It holds for the invoices to come.", [], true);
  });
});

async function begin() {
  /** @type {[Promise<EventDefinition>, Promise<AsksAnswer>, Promise<SellerAnswer>]} */
  const asked = [call("GET", path), call("GET", `/api/events/${eventId}/asks`), call("GET", `${path}/seller`)];
  const [event, asks, seller] = await Promise.all(asked);
  showSeller(seller);
  $("summary").textContent = event.name;
  /** @type {HTMLAnchorElement} */ ($("csv")).href = below(`${path}/orders.csv`);
  /** @type {HTMLAnchorElement} */ ($("invoices-csv")).href = below(`${path}/invoices.csv`);
  const type = /** @type {HTMLSelectElement} */ (/** @type {unknown} */ (input(formOf("gift"), "type")));
  type.replaceChildren(
    ...event.ticketTypes.map(({ ticketType, ticketTypeId }) => new Option(ticketType, String(ticketTypeId))),
  );
  showAsks(asks);
  await list();
  $("sign-in").hidden = true;
  $(VIEW).hidden = false;
}

watchSignIn(() => attempt(VIEW, begin));
watchSession(VIEW, eventId);
attempt(VIEW, begin);
