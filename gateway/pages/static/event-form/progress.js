// @ts-check
// How far a moved or cancelled event has come: who was told, and what was paid back. Asked for until it is done.
import { call, Problem } from "../api.js";
import { $, make } from "../dom.js";
import { moneyIn, plural } from "../words.js";

/** @import { EventProgress } from "../../contract.d.ts" */

const ASK_MS = 2000;

/** @param {string} words @param {number} done @param {number} all @param {string} more */
function bar(words, done, all, more) {
  const item = make("li");
  const meter = make("progress");
  meter.max = Math.max(1, all);
  meter.value = all ? done : 1;
  const label = make("label");
  label.append(make("span", words), meter);
  item.append(label);
  if (more) item.append(make("p", more, "muted small"));
  return item;
}

export class Progress {
  /** @param {number} eventId @param {(currency: string) => number} exponentOf digits of a currency's minor unit */
  constructor(eventId, exponentOf) {
    this.eventId = eventId;
    this.exponentOf = exponentOf;
    this.asked = 0;
  }

  /** Ask from now on, until all is done. */
  async watch() {
    clearTimeout(this.asked);
    try {
      if (!document.hidden) {
        /** @type {EventProgress} */
        const found = await call("GET", `/api/ops/events/${this.eventId}/progress`);
        this.draw(found);
        if (found.complete) return;
      }
    } catch (error) {
      // The page says by itself that the server does not answer, or that nobody is signed in.
      if (!(error instanceof Problem)) throw error;
    }
    this.asked = setTimeout(() => this.watch(), ASK_MS);
  }

  /** @param {EventProgress} progress */
  draw({ cancelledAt, complete, paidBack, purchases, purchasesTold, told }) {
    const bars = [];
    if (told) {
      const { failed, kind, messages, queued, sent, skipped } = told;
      const what = kind === "event_moved" ? "the move" : "the cancellation";
      const more = [failed && `${failed} did not arrive`, skipped && `${skipped} not wanted or too late`];
      bars.push(
        bar(
          `${sent} of ${plural(messages, "message")} about ${what} sent`,
          messages - queued,
          messages,
          more.filter(Boolean).join(" · "),
        ),
      );
    }
    if (paidBack) {
      const money = moneyIn(paidBack.currency, this.exponentOf(paidBack.currency));
      const { amount, amountDone, done, givenUp } = paidBack;
      const more = givenUp
        ? `${givenUp} refused by the provider: see to them, then run admitone payments reconcile --resend.`
        : "";
      bars.push(
        bar(
          `${money(amountDone)} of ${money(amount)} paid back, ${done} of ${plural(paidBack.purchases, "purchase")}`,
          done,
          paidBack.purchases,
          more,
        ),
      );
    }
    if (cancelledAt && purchases) {
      bars.push(
        bar(`Webhooks told of ${purchasesTold} of ${plural(purchases, "purchase")}`, purchasesTold, purchases, ""),
      );
    }
    $("progress").replaceChildren(...bars);
    $("progress").hidden = !bars.length;
    $("progress-head").hidden = !bars.length;
    $("progress-head").textContent = complete ? "Done" : "Under way";
  }
}
