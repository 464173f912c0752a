// @ts-check
// Passkeys (WebAuthn): the server's options as the browser takes them, and the browser's answers as the server does.

/** Whether this browser, on this page, can use passkeys. */
export const knowsPasskeys = () => "PublicKeyCredential" in window;

/** @param {string} text in base64url */
const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

/** @param {ArrayBuffer} buffer */
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** @typedef {{id: string, type: "public-key"}} Known */

/** The browser's answer in JSON. @param {Credential | null} credential */
function answer(credential) {
  const made = /** @type {PublicKeyCredential} */ (credential);
  /** @type {Record<string, string>} */
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    const value = /** @type {Record<string, ArrayBuffer | null>} */ (/** @type {unknown} */ (made.response))[name];
    if (value) response[name] = text(value);
  }
  return { id: made.id, rawId: text(made.rawId), type: made.type, response };
}

/** Have the browser make a passkey. It throws where the person says no. @param {Record<string, any>} options */
export async function makePasskey(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: options.excludeCredentials.map((/** @type {Known} */ one) => ({ ...one, id: bytes(one.id) })),
  };
  return answer(await navigator.credentials.create({ publicKey: /** @type {any} */ (publicKey) }));
}

/** Have the browser sign with a passkey. It throws where the person says no. @param {Record<string, any>} options */
export async function usePasskey(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: [] };
  return answer(await navigator.credentials.get({ publicKey: /** @type {any} */ (publicKey) }));
}
