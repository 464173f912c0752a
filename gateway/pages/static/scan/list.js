// @ts-check
// The list of valid tickets that a gate's device keeps, and what it says of a ticket where there is no network.

/** @import { TicketList } from "../../contract.d.ts" */
/** @import { ReadTicket } from "./ticket.js" */

/** Where and when a ticket was let in. @typedef {{gate: string, scannedAt: string}} Use */
/**
 * The whole list of an event, as it is kept: the parts' columns one behind the other.
 * @typedef {Pick<TicketList, "eventId" | "readAt" | "keys" | "ticketTypes" | "tickets" | "codes" | "ticketTypeIds" | "places" | "used">} KeptList
 */
/**
 * What becomes of a scan. `words` say it in a sentence, `place` which seat it is; `use` is the earlier entry of a ticket
 * that was used.
 * @typedef {{result: "admitted" | "used" | "refused", words: string, place: string, ticketType: string, use: Use | null}} Verdict
 */

/** The parts of a list as one. @param {TicketList[]} parts at least one @returns {KeptList} */
export function joined(parts) {
  const { eventId, readAt, keys, ticketTypes } = parts[0];
  return {
    eventId,
    readAt,
    keys,
    ticketTypes,
    tickets: parts.flatMap((part) => part.tickets),
    codes: parts.flatMap((part) => part.codes),
    ticketTypeIds: parts.flatMap((part) => part.ticketTypeIds),
    places: parts.flatMap((part) => part.places),
    used: parts.flatMap((part) => part.used),
  };
}

export class GateList {
  /** @param {KeptList | null} kept null: the device has no list */
  constructor(kept) {
    this.kept = kept;
    this.byTicket = new Map((kept?.tickets ?? []).map((hash, i) => [hash, i]));
    this.byCode = new Map((kept?.codes ?? []).map((hash, i) => [hash, i]));
    /** Tickets that were let in, by their hashes. @type {Map<string, Use>} */
    this.used = new Map((kept?.used ?? []).map(({ ticket, gate, scannedAt }) => [ticket, { gate, scannedAt }]));
  }

  /** The hash by which a ticket's use is noted: a code's and its signed ticket's is the same. @param {ReadTicket} ticket */
  keyOf(ticket) {
    const at = ticket.kind === "code" ? this.byCode.get(ticket.hash) : undefined;
    return at === undefined ? ticket.hash : this.kept?.tickets[at] ?? ticket.hash;
  }

  /** Note that a ticket was let in here. @param {ReadTicket} ticket @param {Use} use */
  note(ticket, use) {
    this.used.set(this.keyOf(ticket), use);
  }

  /** Forget that. @param {ReadTicket} ticket */
  forget(ticket) {
    this.used.delete(this.keyOf(ticket));
  }

  /** What the list and the signature say. @param {ReadTicket} ticket @param {number} eventId of the gate @returns {Verdict} */
  judge(ticket, eventId) {
    const at = ticket.kind === "code" ? this.byCode.get(ticket.hash) : this.byTicket.get(ticket.hash);
    const place = at === undefined ? "" : this.kept?.places[at] ?? "";
    const ticketType = at === undefined ? "" : this.kept?.ticketTypes[this.kept.ticketTypeIds[at]] ?? "";
    /** @type {(result: Verdict["result"], words: string, use?: Use | null) => Verdict} */
    const verdict = (result, words, use = null) => ({ result, words, place, ticketType, use });
    const use = this.used.get(this.keyOf(ticket));
    if (ticket.kind === "signed") {
      if (ticket.genuine === false) return verdict("refused", "This is no ticket of this site.");
      if (ticket.eventId !== eventId) return verdict("refused", "This ticket is for another event.");
    }
    if (use) return verdict("used", `Somebody was let in with this ticket already, at gate ${use.gate}.`, use);
    if (at !== undefined) return verdict("admitted", "Checked without a network, by the list.");
    if (this.kept) {
      return verdict("refused", "This ticket is not on the list: it was given back, handed on, or sold since.");
    }
    if (ticket.kind === "code") return verdict("refused", "Without a network and a list no code can be checked.");
    if (ticket.genuine === null) return verdict("refused", "Without a network this browser cannot check the ticket.");
    return verdict("admitted", "Checked without a network, by its signature alone.");
  }
}
