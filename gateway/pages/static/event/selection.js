// @ts-check
// The fan's choice, in one line under the map: how many seats, what they cost, and on to the hold. Its list opens on tap.
import { $, buttonOf, make, setText } from "../dom.js";
import { t, tn } from "../text.js";

export class Selection {
  /** @param {(amount: number) => string} money @param {(key: string) => void} onDrop */
  constructor(money, onDrop) {
    this.money = money;
    this.onDrop = onDrop;
    $("picked-toggle").addEventListener("click", () => this.open($("picked-toggle").ariaExpanded !== "true"));
  }

  /** @param {boolean} isOpen */
  open(isOpen) {
    $("picked-toggle").setAttribute("aria-expanded", String(isOpen));
  }

  /** @param {{key: string, name: string, price: number}[]} seats @returns {string} in words */
  show(seats) {
    const total = this.money(seats.reduce((sum, { price }) => sum + price, 0));
    const words = seats.length ? tn("{n} seat", "{n} seats", seats.length) : t("No seats picked");
    setText($("picked-count"), words);
    setText($("picked-total"), seats.length ? total : "");
    $("picked").replaceChildren(...seats.map((seat) => this.line(seat)));
    $("selection").classList.toggle("is-empty", !seats.length);
    buttonOf("picked-toggle").disabled = buttonOf("hold").disabled = !seats.length;
    if (!seats.length) this.open(false);
    return seats.length ? t("{seats} picked, {price}", { seats: words, price: total }) : words;
  }

  /** @param {{key: string, name: string, price: number}} seat */
  line({ key, name, price }) {
    const drop = make("button", "×", "drop");
    drop.type = "button";
    drop.setAttribute("aria-label", t("Remove {seat}", { seat: name }));
    drop.addEventListener("click", () => {
      this.onDrop(key);
      // The button is gone with its line: the keyboard goes on from the list.
      const next = $("picked").querySelector("button") ?? $("map").querySelector('[tabindex="0"]');
      /** @type {HTMLElement | null} */ (next)?.focus();
    });
    const line = make("li");
    line.append(make("span", name), make("b", this.money(price)), drop);
    return line;
  }
}
