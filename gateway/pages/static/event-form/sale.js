// @ts-check
// How the sale of an event stands, and what an operator can do to it whole: take it off sale, or cancel it.
import { call, Problem } from "../api.js";
import { $, buttonOf, formOf, inputOf, make } from "../dom.js";
import { showSale } from "../sale-words.js";
import { input } from "./form.js";

/** @import { EventDefinition, EventPreview } from "../../contract.d.ts" */

/** What an operator types is compared without regard to spaces around and between. @param {string} text */
const plain = (text) => text.normalize("NFC").trim().replaceAll(/\s+/g, " ");

/** @param {string} id @param {readonly string[]} notes */
function showNotes(id, notes) {
  $(id).replaceChildren(...notes.map((note) => make("li", note)));
  $(id).hidden = !notes.length;
}

export class Sale {
  /**
   * @param {() => EventDefinition} known the event as the server has it
   * @param {(event: EventDefinition, words: string) => Promise<void>} onChange takes the event as it has become
   * @param {(error: unknown) => void} onRefused
   */
  constructor(known, onChange, onRefused) {
    this.known = known;
    this.onChange = onChange;
    this.onRefused = onRefused;
    this.dialog = /** @type {HTMLDialogElement} */ ($("cancel-dialog"));
    this.working = false;
    $("withdraw").addEventListener("click", () => void this.withdraw());
    $("cancel-open").addEventListener("click", () => void this.askToCancel());
    formOf("cancel-form").addEventListener("input", () => this.showGo());
    formOf("cancel-form").addEventListener("submit", (submit) => {
      // Enter in a field presses the first button, which does nothing before all is filled in.
      const goes = submit.submitter?.id === "cancel-go";
      if (goes || this.working) submit.preventDefault();
      if (goes && !this.working) void this.cancel();
    });
    this.dialog.addEventListener("cancel", (event) => {
      if (this.working) event.preventDefault();
    });
  }

  /** @param {EventDefinition} event */
  show(event) {
    const soldOut = event.ticketTypes.every(({ availableCount, heldCount }) => availableCount + heldCount === 0);
    showSale($("sale-state"), event, soldOut);
    showNotes("notes", event.notes ?? []);
    $("sale-buttons").hidden = event.state === "cancelled";
    $("withdraw").textContent = event.state === "unpublished" ? "Put back on sale" : "Take off sale";
  }

  async withdraw() {
    const { state } = this.known();
    const to = state === "unpublished" ? "published" : "unpublished";
    buttonOf("withdraw").disabled = true;
    try {
      await this.change({ state: to, why: input("why").value.trim() });
    } catch (error) {
      this.onRefused(error);
    } finally {
      buttonOf("withdraw").disabled = false;
    }
  }

  /** Open the dialog, and say what cancelling does: the server counts it, and changes nothing. */
  async askToCancel() {
    const { eventId, name, notice } = this.known();
    for (const id of ["cancel-why", "cancel-typed"]) inputOf(id).value = "";
    inputOf("cancel-notice").value = input("notice").value || (notice ?? "");
    $("cancel-name").textContent = name;
    this.say("");
    $("cancel-counting").hidden = false;
    $("cancel-notes").hidden = true;
    this.showGo();
    this.dialog.showModal();
    inputOf("cancel-notice").focus();
    try {
      const body = { state: "cancelled", why: "only to count" };
      /** @type {EventPreview} */
      const { event, faults } = await call("PATCH", `/api/ops/events/${eventId}?dryRun=true`, { body });
      $("cancel-counting").hidden = true;
      showNotes("cancel-notes", event?.notes ?? []);
      if (faults.length) this.say(faults.map(({ message }) => message).join("; "));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.say(`We could not count what fans have of it. ${error.message}`);
    }
  }

  showGo() {
    const confirmed = plain(inputOf("cancel-typed").value) === plain(this.known().name);
    buttonOf("cancel-go").disabled = this.working || !confirmed || !inputOf("cancel-why").value.trim();
  }

  /** @param {string} text */
  say(text) {
    $("cancel-message").textContent = text;
    $("cancel-message").hidden = !text;
  }

  async cancel() {
    this.working = true;
    this.showGo();
    try {
      const notice = inputOf("cancel-notice").value.trim();
      await this.change({ state: "cancelled", notice, why: inputOf("cancel-why").value.trim() });
      input("notice").value = notice;
      this.dialog.close();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.say(`The event is not cancelled. ${error.message}`);
    } finally {
      this.working = false;
      this.showGo();
    }
  }

  /** @param {object} change */
  async change(change) {
    const { eventId, revision } = this.known();
    /** @type {EventDefinition} */
    const event = await call("PATCH", `/api/ops/events/${eventId}`, { body: { ...change, revision } });
    await this.onChange(event, SAID[event.state]);
  }
}

/** @type {Record<string, string>} */
const SAID = {
  published: "The event is on the fans’ list again.",
  unpublished: "The event is off sale. Fans do not find it any more.",
  cancelled: "The event is cancelled.",
};
