// @ts-check
// The service worker of check-in: keeps that page and its own files, so that a gate's device opens it without a network.
// It answers for nothing else, and keeps nothing that the API says.

/** @typedef {{waitUntil: (work: Promise<unknown>) => void}} Lasting */
/**
 * What we use of a service worker's scope.
 * @typedef {object} Scope
 * @property {{claim: () => Promise<void>}} clients
 * @property {{scope: string}} registration
 * @property {() => Promise<void>} skipWaiting
 * @property {(name: string, handle: (event: any) => void) => void} addEventListener
 */

const scope = /** @type {Scope} */ (/** @type {unknown} */ (globalThis));
const page = scope.registration.scope;
const FILES = /"([^"]*\/static\/[^"]+)"/g;
const READER = "vendor/qr.";
const NAME = `admitone-scan ${page}`;

/** Whether this browser reads QR codes by itself, so that our own reader is not needed. */
async function readsByItself() {
  const { BarcodeDetector } = /** @type {any} */ (globalThis);
  return (await BarcodeDetector?.getSupportedFormats())?.includes("qr_code") ?? false;
}

/** Keep this answer of the page with all files that it names, and forget the files of an earlier one. @param {Response} answer */
async function keep(answer) {
  const cache = await caches.open(NAME);
  const text = await answer.clone().text();
  const named = [...text.matchAll(FILES)].map(([, address]) => new URL(address, page).href);
  const isNeeded = await readsByItself() ? (/** @type {string} */ url) => !url.includes(READER) : () => true;
  const files = [...new Set(named)].filter(isNeeded);
  const kept = (await cache.keys()).map(({ url }) => url);
  await cache.addAll(files.filter((url) => !kept.includes(url)));
  // The page last: what is kept of it is whole.
  await cache.put(page, answer);
  await Promise.all(kept.filter((url) => url !== page && !files.includes(url)).map((url) => cache.delete(url)));
}

scope.addEventListener("install", (/** @type {Lasting} */ event) => {
  const work = async () => {
    const answer = await fetch(page, { cache: "no-store" });
    if (!answer.ok) throw new Error(`the page answered ${answer.status}`);
    await keep(answer);
    await scope.skipWaiting();
  };
  event.waitUntil(work());
});

scope.addEventListener("activate", (/** @type {Lasting} */ event) => event.waitUntil(scope.clients.claim()));

scope.addEventListener(
  "fetch",
  (/** @type {Lasting & {request: Request, respondWith: (answer: Promise<Response>) => void}} */ event) => {
    const { request } = event;
    if (request.method !== "GET") return;
    if (request.mode === "navigate" && request.url.split(/[?#]/)[0] === page) {
      event.respondWith(opened(event));
    } else if (new URL(request.url).pathname.split("/").includes("static")) {
      event.respondWith(file(request));
    }
  },
);

/** The page as the server has it now, else as it was kept. @param {Lasting & {request: Request}} event @returns {Promise<Response>} */
async function opened(event) {
  try {
    const answer = await fetch(event.request);
    if (answer.ok) event.waitUntil(keep(answer.clone()).catch(() => {}));
    return answer;
  } catch (error) {
    const kept = await (await caches.open(NAME)).match(page);
    if (!kept) throw error;
    return kept;
  }
}

/** A file's address names its content, so what is kept is what the server has. @param {Request} request @returns {Promise<Response>} */
async function file(request) {
  return await (await caches.open(NAME)).match(request.url) ?? fetch(request);
}
