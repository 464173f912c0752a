// @ts-check
// Asks the server where the fan stands. Each question is a heartbeat too: it keeps the place.
import { call, Problem } from "../api.js";
import { keepsCookies, NO_COOKIES } from "../cookies.js";
import { isSessionSure } from "../session.js";

/** @import { Place } from "../../contract.d.ts" */
/** @import { Context } from "./context.js" */
/** @import { Stage, Store } from "./state.js" */

const RETRY_SECONDS = 10; // where the server names no time
const RELOADED_MS = 10_000; // A page reloaded less long ago is not reloaded again.

const WITHDRAWN = ["over", "unpublished", "cancelled"]; // Nothing is sold, and nothing is about to be.

/** @typedef {(stageWithoutPlace?: Stage) => Promise<void>} Ask the stage is shown to a fan who has no place */

/** @param {Pick<Context, "queue" | "store" | "page" | "tell">} context @returns {Ask} one question at a time */
export function askWith({ queue, store, page, tell }) {
  let asking = false;
  let tokenMayBeBad = Boolean(store.state.token); // The browser kept it; one that the server gives meanwhile is good.
  const drawnClosed = store.state.stage === "closed";
  return async (stageWithoutPlace = "join") => {
    if (asking) return;
    asking = true;
    try {
      /** @type {Place} */
      const place = await call("GET", queue, { headers: store.headers });
      tell({ type: "news", news: place });
      // The page's own words for a sale that has ended are the server's, which has not drawn them yet.
      if (place.state === "closed" && WITHDRAWN.includes(place.sale ?? "") && !drawnClosed) location.reload();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === "rebuilding") waitFor(store, "rebuilding", error);
      else if (error.status === 404) store.dispatch({ type: "noPlace", stage: stageWithoutPlace });
      else if (error.status === 401) {
        // With a session that is good the first question can only fail for the token.
        if (error.code === "session_invalid" && tokenMayBeBad && isSessionSure()) {
          store.dispatch({ type: "noPlace", stage: stageWithoutPlace });
        } else findSession(page);
      }
    } finally {
      asking = false;
      tokenMayBeBad = false;
    }
  };
}

/** @param {Store} store @param {"line_full" | "rebuilding"} stage @param {Problem} problem */
export const waitFor = (store, stage, problem) =>
  store.dispatch({ type: "retryLater", stage, seconds: problem.retryAfter || RETRY_SECONDS });

/**
 * The page's next load gives up a session that has ended, and a new one begins, where the browser keeps its cookie. The
 * place token brings the place into it. Elsewhere the fan is told.
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
