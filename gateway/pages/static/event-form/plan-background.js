// @ts-check
// The picture behind a hall plan's seats: uploaded whole, placed on the plan, and saved as a part of it.
import { below } from "../addresses.js";
import { $, inputOf } from "../dom.js";
import { sendPicture } from "./event-picture.js";

/** @import { PlanDocument, PlanPicture } from "../../contract.d.ts" */

/** The plan that a picture may be put behind. @type {PlanDocument | null} */
let plan = null;

/** @param {string} name */
const place = (
  name,
) => /** @type {HTMLInputElement} */ (document.querySelector(`#plan-picture-place [data-place="${name}"]`));

/** The picture as large as the plan takes it whole, in its middle. @param {PlanDocument} on @param {string} href @param {number} width @param {number} height pixels @returns {PlanPicture} */
function fitted(on, href, width, height) {
  const scale = Math.min(on.width / width, on.height / height);
  const [wide, high] = [width, height].map((pixels) => Math.max(1, Math.floor(pixels * scale)));
  return { href, at: [Math.floor((on.width - wide) / 2), Math.floor((on.height - high) / 2)], size: [wide, high] };
}

/** The picture where the fields say; its shape stays. @param {PlanPicture} picture @returns {PlanPicture} */
function placed(picture) {
  const [width, height] = picture.size;
  const wide = Math.max(1, Math.round(place("width").valueAsNumber || width));
  return {
    href: picture.href,
    at: [Math.round(place("x").valueAsNumber || 0), Math.round(place("y").valueAsNumber || 0)],
    size: [wide, Math.max(1, Math.round((wide * height) / width))],
  };
}

/** @param {PlanPicture | null} picture */
function show(picture) {
  $("plan-picture-place").hidden = $("plan-picture-remove").hidden = picture === null;
  if (!picture) return;
  place("x").value = String(picture.at[0]);
  place("y").value = String(picture.at[1]);
  place("width").value = String(picture.size[0]);
}

/** Offer a picture for this plan; for none where there is none. @param {PlanDocument | null} offered */
export function offerBackground(offered) {
  plan = offered;
  $("plan-background").hidden = offered === null;
  show(offered?.picture ?? null);
}

/**
 * @param {(plan: PlanDocument) => void} onChange is told the plan with another picture, or none
 * @param {(work: () => Promise<unknown>) => Promise<void>} guarded shows why an upload was refused
 */
export function watchBackground(onChange, guarded) {
  const changed = (/** @type {PlanPicture | null} */ picture) => {
    if (!plan) return;
    plan = { ...plan, picture };
    onChange(plan);
  };
  const file = inputOf("plan-picture-file");
  file.addEventListener("change", () =>
    guarded(async () => {
      const on = plan;
      const picture = file.files?.[0];
      if (!on || !picture) return;
      const { href, width, height } = await sendPicture(file, "?whole=true").finally(() => file.value = "");
      if (plan !== on) return;
      // A plan names the picture as the routes know it, so that the site may move to another path.
      changed(fitted(on, href.slice(below("").length), width, height));
      show(plan.picture);
    }));
  $("plan-picture-place").addEventListener("input", () => {
    if (plan?.picture) changed(placed(plan.picture));
  });
  $("plan-picture-remove").addEventListener("click", () => {
    changed(null);
    show(null);
    file.focus();
  });
}

/** The picture of a plan, once it has come; null without one, or where it does not come. @param {PlanPicture | null} picture @returns {Promise<HTMLImageElement | null>} */
export async function backgroundOf(picture) {
  if (!picture) return null;
  const image = new Image();
  image.src = below(picture.href);
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
}
