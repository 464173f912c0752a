// @ts-check
// The page where a fan pays by Stripe's own element. Stripe's script is on this page, and nowhere else on the site.
import { $, buttonOf, formOf, readData } from "./dom.js";
import { t } from "./text.js";

/**
 * What we use of Stripe's script.
 * @typedef {{mount: (selector: string) => void, on: (event: string, handler: () => void) => void}} StripeElement
 * @typedef {{create: (kind: string) => StripeElement}} StripeElements
 * @typedef {{elements: (options: {clientSecret: string, locale: string}) => StripeElements,
 *   confirmPayment: (options: {elements: StripeElements, confirmParams: {return_url: string}}) =>
 *     Promise<{error?: {message?: string}}>}} StripeOfPage
 * @typedef {Window & {Stripe?: (key: string, options: {locale: string}) => StripeOfPage}} WindowWithStripe
 */

/** @type {{publicKey: string, clientSecret: string, back: string}} */
const { publicKey, clientSecret, back } = readData("pay-data");
const load = /** @type {WindowWithStripe} */ (window).Stripe;
const locale = document.documentElement.lang;
const button = buttonOf("pay-button");

/** @param {string} words */
function say(words) {
  $("pay-problem").textContent = words;
  $("pay-problem").hidden = !words;
}

function begin() {
  if (!load) return say(t("The payment form did not load. You can pay on the provider’s own page."));
  $("pay-form").hidden = false;
  const stripe = load(publicKey, { locale });
  const elements = stripe.elements({ clientSecret, locale });
  const element = elements.create("payment");
  element.on("ready", () => {
    button.disabled = false;
  });
  element.mount("#pay-element");
  formOf("pay-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    button.disabled = true;
    const confirmParams = { return_url: new URL(back, location.href).href };
    // Where it goes well, also by way of the bank's own page, the browser is on its way back already.
    const { error } = await stripe.confirmPayment({ elements, confirmParams });
    say(error?.message ?? t("The payment did not go through. Please try again."));
    button.disabled = false;
  });
}

begin();
