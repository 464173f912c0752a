// @ts-check
// Asks the server where the fan stands. Each question is a heartbeat too: it keeps the place.
import { call, Problem } from "../api.js";
import { keepsCookies, NO_COOKIES } from "../cookies.js";

/** @import { Context } from "./main.js" */
/** @import { Stage, Store } from "./state.js" */

const RETRY_SECONDS = 10; // where the server names no time
const RELOADED_MS = 10_000; // A page reloaded less long ago is not reloaded again.

/** @typedef {(stageWithoutPlace?: Stage) => Promise<void>} Ask the stage is shown to a fan who has no place */

/** @param {Pick<Context, "queue" | "store" | "page" | "tell">} context @returns {Ask} one question at a time */
export function askWith({ queue, store, page, tell }) {
  let asking = false;
  return async (stageWithoutPlace = "join") => {
    if (asking) return;
    asking = true;
    try {
      tell({ type: "news", news: await call("GET", queue, { headers: store.headers }) });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === "rebuilding") waitFor(store, "rebuilding", error);
      else if (error.status === 404) store.dispatch({ type: "noPlace", stage: stageWithoutPlace });
      else if (error.status === 401) {
        // The session is gone or another one, so the place token is not ours. The page's next load gives a session.
        store.dispatch({ type: "noPlace", stage: store.state.stage });
        findSession(page);
      }
    } finally {
      asking = false;
    }
  };
}

/** @param {Store} store @param {"line_full" | "rebuilding"} stage @param {Problem} problem */
export const waitFor = (store, stage, problem) =>
  store.dispatch({ type: "retryLater", stage, seconds: problem.retryAfter || RETRY_SECONDS });

/**
 * The page's next load gives a session, where the browser keeps its cookie; elsewhere the fan is told.
 * @param {Context["page"]} page
 */
export function findSession(page) {
  if (keepsCookies() && !justReloaded()) location.reload();
  else page.say(NO_COOKIES);
}

function justReloaded() {
  const [arrival] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  return arrival?.type === "reload" && performance.now() < RELOADED_MS;
}
