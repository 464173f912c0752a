// @ts-check
// What a ticket's text says, and whether the site signed it: by the site's public keys, without a network.

/** @import { TicketKeyAnswer } from "../../contract.d.ts" */

/**
 * A ticket as it was read. `hash` stands for it in the list of valid tickets. A signed one also names its event, and
 * `genuine` says whether the site signed it: null where this browser cannot tell.
 * @typedef {{kind: "code", hash: string} | {kind: "signed", hash: string, eventId: number, genuine: boolean | null}} ReadTicket
 */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const VERSION = 1;
const KEY_ID = [1, 5];
const EVENT = [5, 12];
const HASHED = [12, 42];
const TICKET_BYTES = 106;
const TICKET_CHARS = Math.ceil(TICKET_BYTES * 8 / 5);
const HASH_BYTES = 10;

/** A ticket's text as it is meant: in capitals, without the blanks that somebody typed. @param {string} text */
export const tidied = (text) => text.replace(/\s+/g, "").toUpperCase();

/** @param {string} text in base 32 @returns {Uint8Array<ArrayBuffer> | null} null: it is none */
function bytesOf(text) {
  const bytes = new Uint8Array(Math.floor(text.length * 5 / 8));
  let bits = 0, value = 0, at = 0;
  for (const letter of text) {
    const number = LETTERS.indexOf(letter);
    if (number < 0) return null;
    value = (value << 5) | number;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = value >> bits;
    value &= (1 << bits) - 1;
  }
  // A ticket has one spelling alone: the bits that are left over are zeros.
  return value === 0 ? bytes : null;
}

/** @param {string} text in base64url */
function ofBase64(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

/** @param {Uint8Array<ArrayBuffer>} content */
async function hashOf(content) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content)).slice(0, HASH_BYTES);
  return btoa(String.fromCharCode(...digest)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Whether two arrays have the same bytes. @param {Uint8Array} one @param {Uint8Array} other */
const same = (one, other) => one.length === other.length && one.every((byte, i) => byte === other[i]);

/**
 * Whether one of the keys signed the content before the last 64 bytes.
 * @param {Uint8Array<ArrayBuffer>} ticket @param {TicketKeyAnswer[]} keys
 * @returns {Promise<boolean | null>} null: this browser knows no Ed25519, or has no keys yet
 */
async function isSigned(ticket, keys) {
  if (!keys.length) return null;
  const [said, signature] = [ticket.slice(0, -64), ticket.slice(-64)];
  const named = keys.filter((key) => same(ofBase64(key.kid).slice(0, 4), ticket.slice(...KEY_ID)));
  for (const { x } of named) {
    try {
      const key = await crypto.subtle.importKey("raw", ofBase64(x), { name: "Ed25519" }, false, ["verify"]);
      if (await crypto.subtle.verify({ name: "Ed25519" }, key, signature, said)) return true;
    } catch {
      return null;
    }
  }
  return false;
}

/**
 * @param {string} text as `tidied` gives it @param {TicketKeyAnswer[]} keys
 * @returns {Promise<ReadTicket>} of the text, which is a code if it has not the length of a signed ticket
 */
export async function readTicket(text, keys) {
  if (text.length !== TICKET_CHARS) return { kind: "code", hash: await hashOf(new TextEncoder().encode(text)) };
  const bytes = bytesOf(text);
  if (!bytes || bytes[0] !== VERSION) return { kind: "signed", hash: "", eventId: 0, genuine: false };
  const eventId = bytes.slice(...EVENT).reduce((number, byte) => number * 256 + byte, 0);
  return {
    kind: "signed",
    hash: await hashOf(bytes.slice(...HASHED)),
    eventId,
    genuine: await isSigned(bytes, keys),
  };
}
