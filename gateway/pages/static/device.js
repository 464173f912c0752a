// @ts-check
// What the page says of its browser when a fan joins: a hash of a few things that many browsers share, good for this event
// alone, and what only a browser has that a program steers. docs/privacy.md says what becomes of it.

/** @param {number} eventId @returns {Promise<{fingerprint?: string, tells: string[]}>} as a join takes it */
export async function device(eventId) {
  const { hardwareConcurrency, language, languages, maxTouchPoints, userAgent, webdriver } = navigator;
  const tells = [
    webdriver ? "webdriver" : "",
    /headless/i.test(userAgent) ? "headless" : "",
    languages?.length ? "" : "no language",
  ].filter(Boolean);
  // A browser gives no hashes on plain http outside localhost.
  if (!crypto.subtle) return { tells };
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const { width, height } = screen;
  const facts = [eventId, width, height, devicePixelRatio, hardwareConcurrency, maxTouchPoints, language, timeZone];
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(facts.join("|"))));
  return { fingerprint: [...hash.slice(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join(""), tells };
}
