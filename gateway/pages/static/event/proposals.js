// @ts-check
// The best seats together, proposed by the server and shown on the map: nothing is held before the fan goes on.
import { call } from "../api.js";
import { $, buttonOf, formOf, inputOf, make } from "../dom.js";
import { busy } from "./page.js";
import { t } from "../text.js";

/** @import { HallPlan } from "../plan/main.js" */
/** @import { Context } from "./context.js" */

const COUNT_MAX = 20;
const REASONS = /** @type {Record<string, string>} */ ({
  nearest: t("Nearest the middle"),
  cheapest: t("Cheapest"),
  further_back: t("Further back"),
  aisle: t("At the aisle"),
});

/** @typedef {{ticketTypeId: number, rowNumber: number, seatNumber: number}} ProposedSeat */
/** @typedef {{reason: string, ticketType: string, totalAmount: number, rowNumber: number, seats: ProposedSeat[]}} Proposal */

export class Proposals {
  /** @param {Context} context @param {() => Promise<HallPlan>} map @param {(error: unknown) => Promise<void>} refused */
  constructor(context, map, refused) {
    this.context = context;
    this.map = map;
    const { event, money } = context;
    for (let n = 1; n <= event.seatsPerFanMax && n <= COUNT_MAX; n++) {
      $("quick-count").append(new Option(String(n), String(n), n === 2, n === 2));
    }
    for (const { ticketTypeId, ticketType, price } of event.tickets) {
      $("quick-type").append(new Option(`${ticketType} · ${money(price)}`, String(ticketTypeId)));
    }
    if (event.tickets.length > 1) $("quick-type").append(new Option(t("Any ticket"), ""));
    $("quick").addEventListener("change", () => this.clear());
    $("quick").addEventListener("submit", (submit) => {
      submit.preventDefault();
      busy(buttonOf("quick-go"), t("One moment…"), () => this.find()).catch(refused);
    });
  }

  async find() {
    const { event, page } = this.context;
    page.hush();
    const map = await this.map();
    const fields = new FormData(formOf("quick"));
    const query = new URLSearchParams({ quantity: String(fields.get("count")) });
    const type = String(fields.get("type") ?? "");
    if (type) query.set("ticketTypeId", type);
    if (inputOf("accessible-only").checked) query.set("accessible", "true");
    /** @type {{proposals: Proposal[]}} */
    const { proposals } = await call("GET", `/api/events/${event.eventId}/proposals?${query}`);
    if (!proposals.length) {
      this.clear();
      page.mention(
        t("There are not that many seats next to each other. Try fewer, another ticket, or pick on the map."),
      );
      return;
    }
    await map.find(proposals.flatMap(({ seats }) => seats.map(keyOfSeat)));
    $("proposals").replaceChildren(...proposals.map((proposal) => this.draw(map, proposal)));
    $("proposals").hidden = false;
    page.announce(t("Choose one of these, or pick on the map."));
    const first = $("proposals").querySelector("button");
    first?.focus();
    if (!map.picked.size) first?.click();
  }

  /** @param {HallPlan} map @param {Proposal} proposal */
  draw(map, { reason, ticketType, totalAmount, seats }) {
    const keys = seats.map(keyOfSeat);
    const button = make("button", "", "proposal");
    button.type = "button";
    button.dataset.keys = keys.join(" ");
    button.setAttribute("aria-pressed", "false");
    const [first] = keys.flatMap((key) => map.hall?.seats.get(key) ?? []);
    const labels = keys.flatMap((key) => map.hall?.seats.get(key)?.label ?? []);
    const place = first
      ? t("{type} row {row}, seats {seats}", { type: ticketType, row: first.of.label, seats: labels.join(", ") })
      : ticketType;
    button.append(make("b", REASONS[reason] ?? ""), make("span", place), make("b", this.context.money(totalAmount)));
    button.addEventListener("click", () => {
      map.drop([...map.picked]);
      map.pick(keys.filter((key) => map.hall?.isFree(key)));
      map.propose(keys);
    });
    const line = make("li");
    line.append(button);
    return line;
  }

  /** Show which proposal is what is picked, if one is. @param {string[]} picked keys */
  press(picked) {
    for (const button of $("proposals").querySelectorAll("button")) {
      const keys = button.dataset.keys?.split(" ") ?? [];
      const isPicked = keys.length === picked.length && keys.every((key) => picked.includes(key));
      button.setAttribute("aria-pressed", String(isPicked));
    }
  }

  clear() {
    $("proposals").replaceChildren();
    $("proposals").hidden = true;
  }
}

/** @param {ProposedSeat} seat */
const keyOfSeat = ({ ticketTypeId, rowNumber, seatNumber }) => `${ticketTypeId}/${rowNumber}/${seatNumber}`;
