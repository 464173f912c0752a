// @ts-check
// ALTCHA's work: find the number whose SHA-256 with the salt is the challenge. In plain JS, because
// crypto.subtle needs https and an await for each hash.

const K = new Uint32Array(64);
const START = new Uint32Array(8);
{
  // FIPS 180-4: the first 32 bits of the fractional parts of the cube and square roots of the first primes.
  const fraction = (/** @type {number} */ x) => Math.floor((x - Math.floor(x)) * 2 ** 32);
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) START[found] = fraction(Math.sqrt(n));
    K[found++] = fraction(Math.cbrt(n));
  }
}

const W = new Uint32Array(64);

/** @param {Uint32Array} state @param {DataView} block @param {number} offset */
function compress(state, block, offset) {
  for (let i = 0; i < 16; i++) W[i] = block.getUint32(offset + 4 * i);
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15], y = W[i - 2];
    W[i] = W[i - 16] + W[i - 7] +
      (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) +
      (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const t = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) +
      ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const u = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) +
      ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t) | 0;
    d = c;
    c = b;
    b = a;
    a = (t + u) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

/** @param {string} salt @param {string} challenge 64 hex digits @param {number} max @returns {number | null} */
function solve(salt, challenge, max) {
  const target = new Uint32Array(8);
  for (let i = 0; i < 8; i++) target[i] = parseInt(challenge.slice(8 * i, 8 * i + 8), 16);
  const head = new TextEncoder().encode(salt);
  const bytes = new Uint8Array(64 * Math.ceil((head.length + 16 + 9) / 64));
  const view = new DataView(bytes.buffer);
  const state = new Uint32Array(8);
  for (let number = 0; number <= max; number++) {
    const digits = String(number);
    const length = head.length + digits.length;
    const total = 64 * Math.ceil((length + 9) / 64);
    bytes.fill(0);
    bytes.set(head);
    for (let i = 0; i < digits.length; i++) bytes[head.length + i] = digits.charCodeAt(i);
    bytes[length] = 0x80;
    view.setUint32(total - 4, length * 8);
    state.set(START);
    for (let offset = 0; offset < total; offset += 64) compress(state, view, offset);
    if (state[0] === target[0] && state.every((word, i) => word === target[i])) return number;
  }
  return null;
}

self.onmessage = ({ data }) => {
  const started = Date.now();
  const number = solve(data.salt, data.challenge, data.maxnumber ?? 1e6);
  self.postMessage({ number, took: Date.now() - started });
};
