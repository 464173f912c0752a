// @ts-check
// An event's payments and refunds, for its operators: what is under way, what is stuck, and what the provider's books say.
import { $, make } from "./dom.js";
import { momentWords } from "./moments.js";
import { plural } from "./words.js";

/** @import { EventPayments } from "../contract.d.ts" */

/** @param {EventPayments} found @param {(amount: number) => string} money */
export function showPayments({ capturedAmount, comparedAt, differences, errors, payments, provider, refunds }, money) {
  $("payments-sum").textContent = `${money(capturedAmount)} were paid by ${provider}, and ${
    money(refunds.doneAmount)
  } went back.`;
  const trouble = [
    payments.stuck && `${plural(payments.stuck, "payment")} should have ended`,
    refunds.stuck && `${plural(refunds.stuck, "refund")} should be done`,
    refunds.dead && `${plural(refunds.dead, "refund")} given up: run “admitone payments reconcile --resend”`,
    ...errors,
  ].filter(Boolean).join(" · ");
  $("payments-trouble").textContent = trouble;
  $("payments-trouble").hidden = !trouble;
  /** @type {[number, string][]} */
  const lines = [
    [payments.opening, "wait for the provider"],
    [payments.open, "can be paid now"],
    [payments.atTheBank, "are with a bank, or end by themselves at the provider"],
    [payments.captured, "paid, and about to be booked or paid back"],
    [payments.booked, "paid and booked"],
    [payments.failed, "ended unpaid"],
    [payments.returned, "paid too late, twice, or wrongly, and paid back whole"],
  ];
  const items = lines.filter(([number]) => number).map(([number, words]) =>
    make("li", `${plural(number, "payment")}: ${words}`)
  );
  if (refunds.pending) {
    items.push(make("li", `${plural(refunds.pending, "refund")} of ${money(refunds.owedAmount)} under way`));
  }
  items.push(
    ...differences.map(({ mended, paymentId, sentence }) =>
      make("li", `Payment ${paymentId}: ${sentence}${mended ? "; it is looked at by itself" : ""}`)
    ),
  );
  $("payments-lines").replaceChildren(...items);
  $("payments-compared").textContent = comparedAt
    ? `Compared with the provider’s books ${momentWords(comparedAt, "date")}.`
    : "Not yet compared with the provider’s books.";
  $("payments").hidden = false;
}
