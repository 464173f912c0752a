// @ts-check
// A fan's session begins with the first call that needs one: to look at a page begins none.
import { below } from "./addresses.js";
import { callBy, newKey, Problem } from "./api.js";
import { keep, readKept } from "./event/storage.js";

/** @import { Send } from "./api.js" */

const SESSION = "session"; // what the browser keeps while it has one: the session's own cookie is hidden from scripts
let sure = false;
let begun = 0;

/** Whether this page knows that the server takes the browser's session. */
export const isSessionSure = () => sure;

/** Whether this browser has a session, as far as its pages know. */
export const hasSession = () => sure || readKept(SESSION) !== null;

/** What changes when a tab of this browser begins a session; without storage, when this one does. */
const latestSession = () => `${begun} ${readKept(SESSION)}`;

/** Have calls begin a session where they need one. @param {boolean} own whether the server drew the page for a session */
export function beginSessions(own) {
  sure = own;
  if (own && readKept(SESSION) === null) keep(SESSION, newKey());
  callBy((send) => async (method, path, options = {}) => {
    const latest = latestSession();
    const { begins = true } = options;
    const isFansOwn = method !== "GET" || path.startsWith("/api/queue/");
    if (begins && isFansOwn && !hasSession()) await beginSession(send, latest);
    try {
      return await send(method, path, options);
    } catch (error) {
      // The mark was of a session that has ended, or that this browser has lost.
      if (!(error instanceof Problem) || error.code !== "unauthenticated") throw error;
      if (!begins) {
        keep(SESSION, null);
        sure = false;
        throw error;
      }
      await beginSession(send, latest);
      return await send(method, path, options);
    }
  });
}

/** Begin a session, unless this tab or another has begun one since `latest` was. @param {Send} send @param {string} latest */
async function beginSession(send, latest) {
  const begin = async () => {
    if (latestSession() !== latest) return;
    await send("POST", "/api/session");
    keep(SESSION, newKey());
    begun++;
    sure = true;
  };
  // Browsers have no locks on plain http outside localhost, and allow none to a site that may keep nothing.
  try {
    await navigator.locks.request(`admitone${below("")}:session`, begin);
  } catch (error) {
    if (error instanceof Problem) throw error;
    await begin();
  }
}
