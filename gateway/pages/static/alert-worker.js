// @ts-check
// The service worker of the alerts: shows the notification, also on phones, and leads back to the page when it is touched.
// A closed page is told by web push. The worker keeps nothing and answers no request.

/** @typedef {{waitUntil: (work: Promise<unknown>) => void}} Lasting */
/** @typedef {{url: string, focus: () => Promise<unknown>}} PageClient */
/**
 * What we use of a service worker's scope.
 * @typedef {object} Scope
 * @property {{matchAll: (options: object) => Promise<PageClient[]>, openWindow: (url: string) => Promise<unknown>}} clients
 * @property {{scope: string, showNotification: (title: string, options: object) => Promise<void>}} registration
 * @property {(name: string, handle: (event: any) => void) => void} addEventListener
 */

const scope = /** @type {Scope} */ (/** @type {unknown} */ (globalThis));

/** @param {string} address */
async function show(address) {
  const pages = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find(({ url }) => url === address) ?? pages.find(({ url }) => url.startsWith(address));
  await (page ? page.focus() : scope.clients.openWindow(address));
}

/**
 * What the site pushes: a notification's words, the page that it leads to, and a tag, by which a later one of the same
 * event takes its place. A second way leads to where the fan chooses what this browser is told.
 * @typedef {{title: string, body: string, url: string, tag: string, preferences?: string, choose?: string}} Pushed
 */

scope.addEventListener("push", (/** @type {Lasting & {data: {json: () => Pushed} | null}} */ event) => {
  if (!event.data) return;
  const { title, body, url, tag, preferences, choose } = event.data.json();
  const { scope: site } = scope.registration;
  const data = [url, preferences ?? ""].map((address) => address && new URL(address, site).href);
  const actions = preferences ? [{ action: "preferences", title: choose }] : [];
  const options = { body, tag, data, actions, requireInteraction: true, vibrate: [200, 100, 200, 100, 400] };
  event.waitUntil(scope.registration.showNotification(title, options));
});

scope.addEventListener(
  "notificationclick",
  (/** @type {Lasting & {notification: Notification, action: string}} */ event) => {
    event.notification.close();
    const [page, preferences] = [event.notification.data ?? ""].flat().map(String);
    const address = (event.action === "preferences" && preferences) || page;
    if (address.startsWith(scope.registration.scope)) event.waitUntil(show(address));
  },
);
