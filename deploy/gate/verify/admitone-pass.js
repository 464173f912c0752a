// @ts-check
// Verifies passes of Admit One by its public keys, without asking it. Copy this file: it needs nothing but the Web
// Crypto of Node 20, Deno, Bun or an edge worker.
//
//   const { keys } = await (await fetch("https://wait.example/.well-known/jwks.json")).json(); // once an hour
//   const claims = await verifyPass(token, keys, { room: 7, agent: request.headers.get("User-Agent") ?? "" });
//
// A pass that verifies is good until its end, unless it was called back since: only the check at /gate/7 knows that.

const TOKEN_CHARS_MAX = 1024;
const AGENT_BYTES = 9;

/** The message is the reason: malformed, key, signature, audience, expired or agent. */
export class PassInvalid extends Error {}

/**
 * @typedef {object} Claims
 * @property {string} sub the fan's number
 * @property {string} aud
 * @property {number} iat when it was signed, in Unix seconds: ask the check for a new one half a minute later
 * @property {number} exp
 * @property {string} ua
 */

/**
 * The claims of a pass to this room, given to a browser with this User-Agent.
 * @param {string} token
 * @param {Record<string, string>[]} keys of the JSON Web Key Set
 * @param {{room: number, agent: string, now?: number}} asked `now` in Unix seconds
 * @returns {Promise<Claims>}
 */
export async function verifyPass(token, keys, { room, agent, now = Date.now() / 1000 }) {
  const parts = token.split(".");
  if (parts.length !== 3 || token.length > TOKEN_CHARS_MAX) throw new PassInvalid("malformed");
  let header, claims, signature;
  try {
    [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(new TextDecoder().decode(bytesOf(part))));
    signature = bytesOf(parts[2]);
  } catch {
    throw new PassInvalid("malformed");
  }
  if (!isObject(header) || !isObject(claims) || textOf(signature) !== parts[2]) throw new PassInvalid("malformed");
  const key = keys.find(({ kid, crv }) => kid === header.kid && crv === "Ed25519");
  if (header.alg !== "EdDSA" || !key) throw new PassInvalid("key");
  const publicKey = await crypto.subtle.importKey("raw", bytesOf(key.x), "Ed25519", false, ["verify"]);
  const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
  if (!(await crypto.subtle.verify("Ed25519", publicKey, signature, signed))) throw new PassInvalid("signature");
  if (claims.aud !== `shop:${room}`) throw new PassInvalid("audience");
  if (!Number.isInteger(claims.exp) || claims.exp <= now) throw new PassInvalid("expired");
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", latin1(agent)));
  if (claims.ua !== textOf(hash.slice(0, AGENT_BYTES))) throw new PassInvalid("agent");
  return claims;
}

/** @param {unknown} value */
const isObject = (value) => typeof value === "object" && value !== null;

/** @param {string} text */
const latin1 = (text) => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

/** @param {string} text base 64 for addresses, without padding */
function bytesOf(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new PassInvalid("malformed");
  return latin1(atob(text.replaceAll("-", "+").replaceAll("_", "/")));
}

/** @param {Uint8Array} bytes */
const textOf = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
