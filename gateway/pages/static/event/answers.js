// @ts-check
// What an event asks of a fan before buying. Only pages of such events load this; the checkout finds it by its name.
import { call } from "../api.js";
import { formOf, make } from "../dom.js";
import { locale, t } from "../text.js";

/** @import { HeldSeat, ReservationAnswer } from "../../contract.d.ts" */

export class OrderAnswers {
  constructor() {
    this.form = formOf("answers");
    this.form.addEventListener("submit", (submit) => submit.preventDefault());
  }

  /** Another hold is shown: a field for each of its seats. @param {ReservationAnswer} hold @param {(seat: HeldSeat) => string} nameOf */
  begin(hold, nameOf) {
    const fields = this.form.querySelector(".attendees");
    const legend = fields?.querySelector("legend");
    if (!fields || !legend) return;
    fields.replaceChildren(
      legend,
      ...hold.seats.map((seat, index) => {
        const input = make("input");
        input.name = `attendee-${index}`;
        input.required = true;
        input.maxLength = 120;
        input.autocomplete = "off";
        const label = make("label");
        label.append(make("span", nameOf(seat)), input);
        return label;
      }),
    );
  }

  /** Whether the fan has something left to answer; the browser shows what. */
  isMissing() {
    return !this.form.reportValidity();
  }

  /** Send the answers of a hold. @param {ReservationAnswer} hold */
  async send({ eventId, reservationId, seats }) {
    const fields = new FormData(this.form);
    const text = (/** @type {string} */ name) => String(fields.get(name) ?? "");
    const answers = [...fields.keys()].filter((name) => name.startsWith("question-") && text(name)).map((name) => ({
      questionId: Number(name.slice("question-".length)),
      answer: text(name),
    }));
    const attendees = seats.filter((_, index) => fields.has(`attendee-${index}`)).map((seat, index) => ({
      ticketTypeId: seat.ticketTypeId,
      rowNumber: seat.rowNumber,
      seatNumber: seat.seatNumber,
      name: text(`attendee-${index}`),
    }));
    await call("PUT", `/api/reservations/${reservationId}/answers`, {
      body: {
        eventId,
        name: text("name"),
        mail: text("mail"),
        address: text("address"),
        attendees,
        answers,
        termsVersion: Number(fields.get("termsVersion") ?? 0),
        language: locale.slice(0, 2),
      },
    });
  }

  /** What is said of a checkout that wants other answers; empty for another problem. @param {string} code */
  wordsOf(code) {
    return code === "terms_changed" || code === "answers_missing"
      ? t("The organiser asks for something new. Please reload this page: your seats stay yours.")
      : "";
  }
}

/** @type {{orderAnswers?: OrderAnswers}} */ (globalThis).orderAnswers = new OrderAnswers();
