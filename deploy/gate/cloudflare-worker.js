// @ts-check
// A shop behind Cloudflare with Admit One before it. A pass that is fresh and verifies goes to the shop without a word to
// Admit One; the check at /gate/7 is asked about everything else. Exchange the four constants. The shop must refuse
// requests without the secret (shop_origin.conf), or take them from Cloudflare alone.
import { verifyPass } from "./verify/admitone-pass.js";

const SITE = "https://wait.example"; // Admit One
const ROOM = 7;
const GATE_SECRET = "exchange-this-secret"; // by which the shop knows what came this way
const FAIL_OPEN = true; // the shop is open while Admit One does not answer
const COOKIE = new RegExp(`(?:^|; ?)__Host-admitone_shop_${ROOM}=([^;]*)`);
const UNCHECKED = /^\/static(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/; // what every page loads needs no check of its own
const KEYS_SECONDS = 3600;
const RENEW_SECONDS = 30;

/** @type {{keys: Record<string, string>[], readAt: number}} */
let known = { keys: [], readAt: 0 };

export default {
  /** @param {Request} request */
  async fetch(request) {
    if (UNCHECKED.test(new URL(request.url).pathname) || (await isFresh(request))) return fetch(byTheGate(request));
    const asked = new Headers({
      "X-Original-URL": request.url,
      "X-Original-Method": request.method,
      "X-Forwarded-For": request.headers.get("CF-Connecting-IP") ?? "",
    });
    for (const name of ["Cookie", "User-Agent", "Accept", "Referer", "X-Admitone-Pass"]) {
      const value = request.headers.get(name);
      if (value) asked.set(name, value);
    }
    let check;
    try {
      check = await fetch(`${SITE}/gate/${ROOM}`, {
        headers: asked,
        redirect: "manual",
        signal: AbortSignal.timeout(3000),
      });
    } catch {
      check = new Response(null, { status: 503 });
    }
    const cookie = check.headers.get("Set-Cookie");
    if (check.status === 401) {
      const headers = new Headers({
        Location: check.headers.get("Location") ?? SITE,
        "Cache-Control": "no-store",
      });
      if (cookie) headers.set("Set-Cookie", cookie);
      return new Response(null, { status: request.method === "GET" ? 302 : 303, headers });
    }
    if (check.status !== 200 && !FAIL_OPEN) return new Response("Please try again in a moment.", { status: 503 });
    const answer = await fetch(byTheGate(request));
    if (!cookie) return answer;
    const withPass = new Response(answer.body, answer);
    withPass.headers.append("Set-Cookie", cookie);
    return withPass;
  },
};

/** @param {Request} request */
function byTheGate(request) {
  const handed = new Request(request);
  handed.headers.set("X-Admitone-Gate", GATE_SECRET);
  return handed;
}

/** @param {Request} request */
async function isFresh(request) {
  const token = request.headers.get("X-Admitone-Pass") ?? COOKIE.exec(request.headers.get("Cookie") ?? "")?.[1];
  if (!token || request.url.includes("admitone_pass=")) return false;
  try {
    const agent = request.headers.get("User-Agent") ?? "";
    const { iat } = await verifyPass(token, await publicKeys(), { room: ROOM, agent });
    return Date.now() / 1000 < iat + RENEW_SECONDS;
  } catch {
    return false;
  }
}

async function publicKeys() {
  if (Date.now() / 1000 > known.readAt + KEYS_SECONDS) {
    const { keys } = await (await fetch(`${SITE}/.well-known/jwks.json`)).json();
    known = { keys, readAt: Date.now() / 1000 };
  }
  return known.keys;
}
