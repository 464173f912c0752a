// @ts-check
// Where the site's pages and its API are found. The site may stand below a path of its host, which the page's root
// element names; no script may begin an address without it.

const root = () => globalThis.document?.documentElement.dataset ?? {};

/** The address of a path as the server's routes know it. Of an empty one: what every address begins with. @param {string} path */
export const below = (path) => (root().root ?? "") + path;

/** The address of a page in this page's language. @param {string} path without a language */
export const pageAddress = (path) => (root().prefix ?? "") + path;
