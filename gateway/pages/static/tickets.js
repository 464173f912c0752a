// @ts-check
// A ticket on the whole screen, at the door: the screen stays on, and the arrow keys and Escape do what the links do.
// Without scripts the links alone do it: the style shows the ticket that the address names.
import { $, buttonOf } from "./dom.js";
import { t } from "./text.js";

/** @type {WakeLockSentinel | null} */
let lock = null;

/** The ticket on the whole screen. */
const shown = () => document.querySelector(".ticket:target");

async function keepAwake() {
  if (!shown() || document.hidden) {
    await lock?.release();
    lock = null;
  } else {
    lock ??= (await navigator.wakeLock?.request("screen")) ?? null;
    lock?.addEventListener("release", () => (lock = null));
  }
}

/** Which link a key stands for. @type {Record<string, string>} */
const TURNS = document.dir === "rtl"
  ? { ArrowLeft: "1", ArrowRight: "-1", Escape: "0" }
  : { ArrowLeft: "-1", ArrowRight: "1", Escape: "0" };

addEventListener("keydown", ({ key }) => {
  const turn = TURNS[key];
  if (!turn) return;
  /** @type {HTMLElement | null | undefined} */ (shown()?.querySelector(`[data-turn="${turn}"]`))?.click();
});
for (const moment of ["hashchange", "pageshow", "visibilitychange"]) {
  // The battery may be low, or the browser has no such lock.
  addEventListener(moment, () => void keepAwake().catch(() => {}), true);
}

/**
 * Copies a link when its button is pressed, and says so.
 * @param {HTMLButtonElement} button @param {HTMLAnchorElement} link @param {HTMLElement} said
 */
function copies(button, link, said) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const done = () => (said.textContent = t("Copied"));
    const failed = () => (said.textContent = t("Your browser does not allow it. Copy the link by hand."));
    navigator.clipboard ? void navigator.clipboard.writeText(link.href).then(done, failed) : failed();
  });
}

// The link that opens the tickets on any device, and those that hand one on.
copies(buttonOf("copy-link"), /** @type {HTMLAnchorElement} */ ($("own-link")), $("copied"));
for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-copy]"))) {
  copies(button, /** @type {HTMLAnchorElement} */ (button.previousElementSibling), button);
}
