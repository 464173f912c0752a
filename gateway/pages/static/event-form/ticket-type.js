// @ts-check
// One ticket type on the form: name, price, and the seats it has, gains and loses.
import { $, copyTemplate } from "../dom.js";
import { count } from "../text.js";
import { majorUnits, minorUnits } from "./form.js";
import { drawSeats } from "./picture.js";
import { TypeTerms } from "./terms.js";

/** @import { DefinedTicketType, SeatMap } from "../../contract.d.ts" */
/** @import { HallBlock } from "./picture.js" */

export class TicketType {
  /**
   * @param {DefinedTicketType | null} known as the server has it; null for a new one
   * @param {{onChange: () => void, onRemove: (type: TicketType) => void}} list
   */
  constructor(known, list) {
    this.known = known;
    /** Its seats that are not free. @type {Map<string, string>} */
    this.taken = new Map();
    this.list = list;
    /** Whether a ticket type of the server's is to be removed. */
    this.going = false;
    this.element = copyTemplate("type-template");
    if (known) {
      this.field("ticketType").value = known.ticketType;
      this.field("price").value = majorUnits(known.price);
      this.field("entrance").value = known.entrance ?? "";
      const words = /** @type {HTMLElement} */ (this.part("sold"));
      words.hidden = false;
      const { bookedCount, heldCount, availableCount } = known;
      words.textContent = `${count(bookedCount)} sold · ${count(heldCount)} held · ${count(availableCount)} free`;
    }
    this.terms = new TypeTerms(known, (name) => this.field(name));
    this.button("remove-block").hidden = !known;
    this.button("add-block").addEventListener("click", () => this.addBlock(false).focus());
    this.button("remove-block").addEventListener("click", () => this.addBlock(true).focus());
    this.button("remove").addEventListener("click", () => this.remove());
    $("types").append(this.element);
  }

  /** @param {string} name */
  part(name) {
    return /** @type {Element} */ (this.element.querySelector(`[data-f="${name}"]`));
  }

  /** @param {string} name */
  field(name) {
    return /** @type {HTMLInputElement} */ (this.part(name));
  }

  /** @param {string} name */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.element.querySelector(`[data-do="${name}"]`));
  }

  remove() {
    if (this.known) {
      this.going = !this.going;
      this.element.classList.toggle("is-going", this.going);
      this.button("remove").textContent = this.going ? "Keep" : "Remove";
    } else {
      this.element.remove();
      this.list.onRemove(this);
    }
    this.list.onChange();
  }

  /** @param {boolean} out whether the seats are taken out @param {Partial<HallBlock>} [block] */
  addBlock(out, block = {}) {
    const element = copyTemplate("block-template");
    element.classList.toggle("is-out", out);
    element.dataset.out = out ? "1" : "";
    const title = out ? "Seats to take out" : this.known ? "Seats to add" : "Seats";
    /** @type {HTMLElement} */ (element.querySelector("legend")).textContent = title;
    for (const [name, value] of Object.entries({ ...this.nextBlock(out), ...block })) {
      /** @type {HTMLInputElement} */ (element.querySelector(`[data-f="${name}"]`)).value = String(value);
    }
    element.querySelector('[data-do="drop"]')?.addEventListener("click", () => {
      element.remove();
      this.list.onChange();
    });
    this.part("blocks").append(element);
    this.list.onChange();
    return /** @type {HTMLInputElement} */ (element.querySelector("input"));
  }

  /** A row like the last block's, behind it. @param {boolean} out @returns {HallBlock} */
  nextBlock(out) {
    const last = this.blocks(false).at(-1) ?? this.known?.blocks.at(-1);
    return {
      rows: 1,
      seatsPerRow: last?.seatsPerRow ?? 10,
      firstRow: out || !last ? 1 : (last.firstRow ?? 1) + last.rows,
      firstSeat: last?.firstSeat ?? 1,
    };
  }

  /** @param {boolean} out */
  elements(out) {
    const all = /** @type {HTMLElement[]} */ ([...this.part("blocks").children]);
    return all.filter((element) => Boolean(element.dataset.out) === out);
  }

  /** @param {boolean} out @returns {HallBlock[]} */
  blocks(out) {
    return this.elements(out).map((element) => {
      const number = (/** @type {keyof HallBlock} */ name) =>
        /** @type {HTMLInputElement} */ (element.querySelector(`[data-f="${name}"]`)).valueAsNumber;
      return {
        rows: number("rows"),
        seatsPerRow: number("seatsPerRow"),
        firstRow: number("firstRow"),
        firstSeat: number("firstSeat"),
      };
    });
  }

  /** What the server has, but for its seats. */
  get facts() {
    return {
      ticketType: this.field("ticketType").value,
      price: this.price,
      entrance: this.entrance,
      ...this.terms.value,
    };
  }

  /** Whether name, price, entrance or terms differ from what the server has. */
  get changed() {
    const { ticketType, price, entrance = "" } = this.known ?? {};
    return this.field("ticketType").value.trim() !== ticketType || this.price !== price ||
      this.entrance !== entrance || this.terms.changed;
  }

  get entrance() {
    return this.field("entrance").value.trim();
  }

  get price() {
    return minorUnits(this.field("price").value);
  }

  get seats() {
    const sum = (/** @type {HallBlock[]} */ blocks) =>
      blocks.reduce((total, block) => total + (block.rows * block.seatsPerRow || 0), 0);
    return this.going ? 0 : (this.known?.quantity ?? 0) + sum(this.blocks(false)) - sum(this.blocks(true));
  }

  /**
   * Give the fields their JSON paths in the body that is sent, so that a fault finds its field.
   * @param {string} path @param {string} [seats] path of the seats to add @param {string} [out] path of those to take out
   */
  placeAt(path, seats = `${path}.blocks`, out = "") {
    this.element.dataset.path = path;
    this.field("ticketType").dataset.path = `${path}.ticketType`;
    this.field("price").dataset.path = `${path}.price`;
    this.field("entrance").dataset.path = `${path}.entrance`;
    this.terms.placeAt(path);
    this.elements(false).forEach((element, index) => (element.dataset.path = `${seats}[${index}]`));
    this.elements(true).forEach((element, index) => (element.dataset.path = `${out}[${index}]`));
  }

  draw() {
    this.part("quantity").textContent = count(this.seats);
    this.part("quantity-words").textContent = this.seats === 1 ? "seat" : "seats";
    const known = /** @type {HallBlock[]} */ (this.known?.blocks ?? []);
    drawSeats(/** @type {SVGSVGElement} */ (this.part("picture")), [...known, ...this.blocks(false)], this.taken);
  }

  get hasPicture() {
    return !this.part("picture").hasAttribute("hidden");
  }

  /** @param {SeatMap["taken"]} taken the seats of all ticket types that are not free */
  showTaken(taken) {
    for (const [type, row, seat, status] of taken) {
      if (type === this.known?.ticketTypeId) this.taken.set(`${row}/${seat}`, status);
    }
    this.draw();
  }
}
