// @ts-check
// The terms of one ticket type on the form: fee, tax, its own sale window, its own limit for a fan.
import { isSameMinute, momentOf, offerTurns } from "../venue-time.js";
import { localIn } from "../zones.js";
import { majorUnits, minorUnits, zone } from "./form.js";

/** @import { DefinedTicketType } from "../../contract.d.ts" */

const BASIS_POINTS = 100; // one percent

/**
 * @typedef {object} Terms
 * @property {number} feeAmount in minor units
 * @property {number} feeBasisPoints
 * @property {number} taxBasisPoints
 * @property {boolean} taxIncluded
 * @property {string | null} soldFrom
 * @property {string | null} soldUntil
 * @property {number | null} seatsPerFanMax
 */

/** @type {Terms} */
const NONE = {
  feeAmount: 0,
  feeBasisPoints: 0,
  taxBasisPoints: 0,
  taxIncluded: true,
  soldFrom: null,
  soldUntil: null,
  seatsPerFanMax: null,
};
const NAMES = /** @type {(keyof Terms)[]} */ (Object.keys(NONE));

export class TypeTerms {
  /** @param {DefinedTicketType | null} known as the server has it @param {(name: string) => HTMLInputElement} field */
  constructor(known, field) {
    this.field = field;
    /** As the server has them. @type {Terms} */
    this.known = { ...NONE };
    if (known) {
      for (const name of NAMES) Object.assign(this.known, { [name]: known[name] ?? NONE[name] });
    }
    const { feeAmount, feeBasisPoints, taxBasisPoints, taxIncluded, seatsPerFanMax } = this.known;
    field("feeAmount").value = feeAmount ? majorUnits(feeAmount) : "";
    field("feeBasisPoints").value = percent(feeBasisPoints);
    field("taxBasisPoints").value = percent(taxBasisPoints);
    field("taxIncluded").checked = taxIncluded;
    field("seatsPerFanMax").value = seatsPerFanMax === null ? "" : String(seatsPerFanMax);
    for (const name of /** @type {const} */ (["soldFrom", "soldUntil"])) {
      const at = this.known[name];
      field(name).value = at ? localIn(at, zone()) : "";
      offerTurns(field(name), zone(), at ?? undefined);
      field(name).addEventListener("input", () => offerTurns(field(name), zone()));
    }
    this.details.open = NAMES.some((name) => this.known[name] !== NONE[name]);
  }

  get details() {
    return /** @type {HTMLDetailsElement} */ (this.field("feeAmount").closest("details"));
  }

  /** @returns {Terms} */
  get value() {
    const limit = this.field("seatsPerFanMax").value;
    return {
      feeAmount: minorUnits(this.field("feeAmount").value || "0"),
      feeBasisPoints: basisPoints(this.field("feeBasisPoints")),
      taxBasisPoints: basisPoints(this.field("taxBasisPoints")),
      taxIncluded: this.field("taxIncluded").checked,
      soldFrom: this.moment("soldFrom"),
      soldUntil: this.moment("soldUntil"),
      seatsPerFanMax: limit ? Number(limit) : null,
    };
  }

  /** The field tells minutes: a time with seconds that nobody touched is the same. @param {"soldFrom" | "soldUntil"} name */
  moment(name) {
    const told = momentOf(this.field(name), zone());
    const known = this.known[name];
    return told && known && isSameMinute(told, known) ? known : told;
  }

  get changed() {
    const value = this.value;
    return NAMES.some((name) => value[name] !== this.known[name]);
  }

  /** @param {string} path of the ticket type in the body that is sent */
  placeAt(path) {
    for (const name of NAMES) this.field(name).dataset.path = `${path}.${name}`;
  }
}

/** @param {number} points @returns {string} as typed; empty for none */
const percent = (points) => (points ? String(points / BASIS_POINTS) : "");

/** @param {HTMLInputElement} field in percent */
const basisPoints = (field) => Math.round((field.valueAsNumber || 0) * BASIS_POINTS);
