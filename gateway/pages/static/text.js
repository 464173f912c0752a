// @ts-check
// The sentences of a script. They stand in English where they are used. The server finds them there for the catalogues,
// and puts each language's own in their place before a page loads them: so each must be a plain text in double quotes.

/** @typedef {Record<string, string | number>} Values what stands in a text's braces, by name */

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A name that is written from right to left keeps its signs together in any sentence. @param {string} text */
const isolated = (text) => (RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text);

/** @param {string} text @param {Values} values */
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (braces, name) => isolated(String(values[name] ?? braces)));

/** Which of a text's forms the language takes for a number. @param {number} n @returns {number} */
const pluralForm = (n) => Number(n !== 1);

/** A text. @param {string} text with names in braces @param {Values} [values] */
export const t = (text, values = {}) => fill(text, values);

/**
 * A text with a number, which decides about its form and stands in it as {n}.
 * @param {string | string[]} one the English singular; or, put in by the server, all forms of the page's language
 * @param {string | 0} many the English plural @param {number} number @param {Values} [values]
 */
export function tn(one, many, number, values = {}) {
  const forms = typeof one === "string" ? [one, String(many)] : one;
  return fill(forms[Math.min(pluralForm(number), forms.length - 1)], { n: count(number), ...values });
}

/** The page's language. A reader's own variety of it decides how numbers and times are written. */
export const locale = (() => {
  const lang = globalThis.document?.documentElement.lang || "en";
  const own = globalThis.navigator?.languages?.find((tag) => tag.split("-")[0] === lang) ?? lang;
  return lang === "ar" ? `${own}-u-nu-latn` : own;
})();

const plain = new Intl.NumberFormat(locale);
/** @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? "–" : plain.format(value));
