// @ts-check
// Signing out also forgets what the pages kept in this browser: a place token there would bring the place back.
import { forgetAll } from "./event/storage.js";

/** @type {HTMLFormElement} */ (document.querySelector(".sign-out")).addEventListener("submit", forgetAll);
