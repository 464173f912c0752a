// @ts-check
// Lets a fan give tickets back: choose them, see their price, and confirm.
import { book, newKey, Problem } from "./api.js";
import { $, buttonOf } from "./dom.js";
import { moneyIn, problemWords } from "./words.js";
import { t, tn } from "./text.js";

const offer = /** @type {HTMLElement} */ (document.querySelector("[data-cancel]"));
const dialog = /** @type {HTMLDialogElement} */ ($("cancel-dialog"));
const go = buttonOf("cancel-go");
const boxes = /** @type {HTMLInputElement[]} */ ([...dialog.querySelectorAll("input[name=seat]")]);
const money = moneyIn(offer.dataset.currency ?? "EUR", Number(offer.dataset.exponent));

let key = newKey(); // Each choice of seats has one key: however often it is sent, it is done once.
let working = false;

const chosen = () => boxes.filter((box) => box.checked);

function show() {
  const count = chosen().length;
  const amount = chosen().reduce((total, box) => total + Number(box.dataset.amount), 0);
  go.disabled = working || count === 0;
  go.textContent = working
    ? t("Cancelling…")
    : count
    ? tn("Cancel {n} ticket", "Cancel {n} tickets", count)
    : t("Choose tickets");
  $("cancel-sum").textContent = count
    ? tn("{n} ticket, {price} back", "{n} tickets, {price} back", count, { price: money(amount) })
    : t("None chosen yet");
}

/** @param {string} text */
function say(text) {
  const message = $("cancel-message");
  message.textContent = text;
  message.hidden = !text;
}

async function cancel() {
  working = true;
  go.setAttribute("aria-busy", "true");
  show();
  say("");
  const details = chosen().map((box) => ({
    ticketTypeId: Number(box.dataset.type),
    rowNumber: Number(box.dataset.row),
    seatNumber: Number(box.dataset.seat),
  }));
  try {
    await book("POST", `/api/purchases/${offer.dataset.cancel}/cancel`, {
      body: { details },
      key,
      headers: offer.dataset.key ? { "X-Purchase-Key": offer.dataset.key } : {},
      onWait: (why) =>
        say(
          why === "offline"
            ? t("No connection. We keep trying; nothing is cancelled twice.")
            : t("Your request is on its way…"),
        ),
    });
    location.reload();
  } catch (error) {
    working = false;
    go.removeAttribute("aria-busy");
    key = newKey();
    show();
    if (!(error instanceof Problem)) throw error;
    const elsewhere = error.code === "not_cancellable";
    say(
      elsewhere
        ? t("One of these was used at the door, cancelled or handed on. Close this and look again.")
        : problemWords(error),
    );
    if (elsewhere) dialog.addEventListener("close", () => location.reload(), { once: true });
  }
}

for (const box of boxes) {
  box.addEventListener("change", () => {
    key = newKey();
    show();
  });
}
$("cancel-open").addEventListener("click", () => {
  say("");
  show();
  dialog.showModal();
});
dialog.addEventListener("cancel", (event) => {
  if (working) event.preventDefault();
});
// The form's own submission, by Enter in a box as well, keeps the tickets.
/** @type {HTMLFormElement} */ (dialog.querySelector("form")).addEventListener("submit", (event) => {
  if (working) event.preventDefault();
});
go.addEventListener("click", () => void cancel());
offer.hidden = false;
