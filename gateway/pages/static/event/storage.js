// @ts-check
// What the browser keeps of an event between two visits. Another site on the same host has names of its own.
import { below } from "../addresses.js";

/** @import { State } from "./state.js" */

/** @param {string} name @returns {string | null} */
export function readKept(name) {
  try {
    return localStorage.getItem(`admitone${below("")}:${name}`);
  } catch {
    // Storage may be forbidden. Then a place lives as long as its session.
    return null;
  }
}

/** @param {string} name @param {string | null} value null: keep it no longer */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(`admitone${below("")}:${name}`);
    else localStorage.setItem(`admitone${below("")}:${name}`, value);
  } catch {
    // As above.
  }
}

/** Keep nothing of any event any longer. */
export function forgetAll() {
  try {
    const ours = `admitone${below("")}:`;
    for (const key of Object.keys(localStorage)) if (key.startsWith(ours)) localStorage.removeItem(key);
  } catch {
    // As above.
  }
}

/** The place token restores a place that the server has lost. @param {number} eventId */
export const readPlace = (eventId) => ({
  token: readKept(`place:${eventId}`),
  firstPosition: Number(readKept(`first:${eventId}`)) || 0,
});

/** @param {number} eventId @returns {(state: State, before: State) => void} */
export function keepPlace(eventId) {
  return (state, before) => {
    if (state.token !== before.token) keep(`place:${eventId}`, state.token);
    if (state.firstPosition === before.firstPosition) return;
    keep(`first:${eventId}`, state.firstPosition ? String(state.firstPosition) : null);
  };
}
