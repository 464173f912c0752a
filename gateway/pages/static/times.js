// @ts-check
// The pages that have no script of their own load this one.
import "./local-times.js";
