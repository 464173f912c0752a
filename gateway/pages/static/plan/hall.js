// @ts-check
// The hall as the page knows it: its sections, the seats of those that were opened, and what has become of each seat.
import { PITCH, runsOf } from "./geometry.js";

/** @import { PlanOverview, PlanSectionSeats, PlanSectionSummary } from "../../contract.d.ts" */

/** @typedef {"reserved" | "booked"} Taken */
/** @typedef {"free" | "mine" | Taken} Status */
/** @typedef {[number, number, number, "available" | Taken]} SeatChange ticket type, row, seat, and what it is now */

/**
 * @typedef {object} Seat
 * @property {string} key
 * @property {number} type
 * @property {number} row
 * @property {number} seat
 * @property {number} x
 * @property {number} y
 * @property {number} flags
 * @property {number} at its place in its row
 * @property {string} label what fans call it
 * @property {Row} of its row
 */
/** @typedef {{type: number, row: number, label: string, seats: Seat[], section: Section}} Row */

/** @typedef {PlanSectionSummary & {drawn: Row[] | null}} Section its rows are null until it is opened */

export const ACCESSIBLE = 1;
export const COMPANION = 2;
export const RESTRICTED = 8;

/** @param {number} type @param {number} row @param {number} seat */
export const keyOf = (type, row, seat) => `${type}/${row}/${seat}`;

export class Hall {
  /** @param {PlanOverview} plan @param {Map<number, {price: number, quantity: number}>} tickets */
  constructor(plan, tickets) {
    this.plan = plan;
    this.tickets = tickets;
    /** @type {Map<number, Section>} */
    this.sections = new Map(plan.sections.map((section) => [section.sectionId, { ...section, drawn: null }]));
    /** @type {Map<string, Seat>} */
    this.seats = new Map();
    /** @type {Map<string, Taken>} seats that are not free */
    this.taken = new Map();
    /** @type {Map<number, {reserved: number, booked: number}>} how many of them, by ticket type */
    this.tallies = new Map();
    /** @type {Set<string>} */
    this.picked = new Set();
    /** @type {Set<string>} seats that this fan holds, which are never free to the fan either */
    this.own = new Set();
    /** Whether some section's share may have changed by seats of which the page does not know where they stand. */
    this.isBehind = false;
    const prices = [...tickets.values()].map(({ price }) => price);
    /** The prices, lowest first: each has its colour. */
    this.prices = [...new Set(prices)].sort((a, b) => a - b);
    /** @type {Map<number, Section | null>} by ticket type; null where several sections share it */
    this.onlySection = new Map();
    for (const section of this.sections.values()) {
      for (const type of section.ticketTypeIds) this.onlySection.set(type, this.onlySection.has(type) ? null : section);
    }
  }

  get size() {
    return this.plan.sections.reduce((sum, section) => sum + section.seats, 0);
  }

  /** @param {PlanSectionSeats} answer */
  open({ sectionId, rows }) {
    const section = this.sections.get(sectionId);
    if (!section || section.drawn) return;
    section.drawn = rows.map(({ ticketTypeId: type, rowNumber: row, label, seats }) => {
      /** @type {Row} */
      const made = { type, row, label, seats: [], section };
      made.seats = /** @type {[number, number, number, number, string?][]} */ (seats).map(
        ([seat, x, y, flags, name], at) => {
          const key = keyOf(type, row, seat);
          /** @type {Seat} */
          const one = { key, type, row, seat, x, y, flags, at, label: name ?? String(seat), of: made };
          this.seats.set(key, one);
          return one;
        },
      );
      return made;
    });
    this.recount(section);
  }

  /** @param {Section} section */
  recount(section) {
    if (!section.drawn) return;
    section.free = section.seats;
    for (const row of section.drawn) for (const { key } of row.seats) if (this.taken.has(key)) section.free--;
  }

  /** The shares left as the server counts them. @param {PlanSectionSummary[]} sections */
  countAnew(sections) {
    this.isBehind = false;
    for (const { sectionId, free } of sections) {
      const section = this.sections.get(sectionId);
      if (section && !section.drawn) section.free = free;
    }
  }

  /** @param {Seat} seat */
  priceOf(seat) {
    return this.tickets.get(seat.type)?.price ?? 0;
  }

  /** @param {string} key @returns {Status} */
  statusOf(key) {
    return this.own.has(key) || this.picked.has(key) ? "mine" : (this.taken.get(key) ?? "free");
  }

  /** @param {string} key */
  isFree(key) {
    return !this.taken.has(key) && !this.own.has(key);
  }

  /** Take over all seats that are not free. @param {[number, number, number, Taken][]} taken @returns {string[]} the picked seats that are lost */
  snapshot(taken) {
    this.taken = new Map();
    this.tallies = new Map();
    for (const [type, row, seat, status] of taken) {
      this.taken.set(keyOf(type, row, seat), status);
      this.tally(type, status, 1);
    }
    for (const section of this.sections.values()) {
      if (section.drawn) this.recount(section);
      else if (section.ticketTypeIds.every((type) => this.onlySection.get(type))) {
        section.free = section.ticketTypeIds.reduce((sum, type) => sum - this.takenOf(type), section.seats);
      } else this.isBehind = true;
    }
    return [...this.picked].filter((key) => this.taken.has(key));
  }

  /** @param {number} type @param {Taken} status @param {number} by */
  tally(type, status, by) {
    let tally = this.tallies.get(type);
    if (!tally) this.tallies.set(type, tally = { reserved: 0, booked: 0 });
    tally[status] += by;
  }

  /** @param {number} type */
  takenOf(type) {
    const { reserved, booked } = this.tallies.get(type) ?? { reserved: 0, booked: 0 };
    return reserved + booked;
  }

  /** @param {SeatChange[]} changes @returns {string[]} the picked seats that are lost */
  change(changes) {
    const lost = [];
    for (const [type, row, seat, status] of changes) {
      const key = keyOf(type, row, seat);
      const was = this.taken.get(key);
      if (was) this.tally(type, was, -1);
      if (status === "available") this.taken.delete(key);
      else {
        this.taken.set(key, status);
        this.tally(type, status, 1);
        if (this.picked.has(key)) lost.push(key);
      }
      const by = Number(status === "available") - Number(!was);
      if (!by) continue;
      const section = this.seats.get(key)?.of.section ?? this.onlySection.get(type);
      if (section) section.free += by;
      else this.isBehind = true;
    }
    return lost;
  }

  /** Seats free and in baskets of a ticket type. @param {number} type */
  stock(type) {
    const held = this.tallies.get(type)?.reserved ?? 0;
    return { available: Math.max(0, (this.tickets.get(type)?.quantity ?? 0) - this.takenOf(type)), held };
  }

  /** All seats that are not free, as `snapshot` takes them. @returns {[number, number, number, Taken][]} */
  takenSeats() {
    return [...this.taken].map(([key, status]) => {
      const [type, row, seat] = key.split("/").map(Number);
      return [type, row, seat, status];
    });
  }

  /** The piece of its row between two aisles in which a seat stands. @param {Seat} seat */
  runOf(seat) {
    return runsOf(seat.of.seats).find((run) => run.includes(seat)) ?? [seat];
  }

  /** The free seat nearest to what fans look at. @param {Iterable<Seat>} seats @param {(seat: Seat) => boolean} suits */
  firstFree(seats, suits) {
    const [x, y] = this.plan.focus.at;
    /** @type {Seat | null} */
    let found = null;
    let nearest = Infinity;
    for (const seat of seats) {
      if (!this.isFree(seat.key)) continue;
      const away = Math.hypot(seat.x - x, seat.y - y) + (suits(seat) ? 0 : 1e6 * PITCH);
      if (away >= nearest) continue;
      nearest = away;
      found = seat;
    }
    return found;
  }
}
