// @ts-check
// Calls of the public API: problems as exceptions, safe retries, streams, and the server's clock.

import { below, pageAddress } from "./addresses.js";

/** @import { Job, ProblemAnswer, RoomLogLine, SeatAnswer } from "../contract.d.ts" */

/**
 * A problem as the server describes it; some codes have members of their own.
 * @typedef {Partial<ProblemAnswer> & {seats?: SeatAnswer[], at?: string, changes?: RoomLogLine[], revision?: number, appeal?: string, reference?: string, seatsPerFanMax?: number}} ProblemBody
 */

/** A refusal by the server, or no answer at all (status 0). */
export class Problem extends Error {
  /** @param {number} status @param {ProblemBody | null} body */
  constructor(status, body) {
    super(body?.detail || body?.title || "The server did not answer.");
    this.status = status;
    /** @type {string} */
    this.code = body?.code ?? (status ? `http_${status}` : "offline");
    this.body = body ?? {};
  }
  /** Seconds to wait before another try, if the server named them. */
  get retryAfter() {
    const seconds = Number(this.body.retryAfterSeconds);
    return seconds > 0 ? seconds : 0;
  }
}

let skew = 0; // server's clock minus ours, ms

/** The server's time, in ms since the epoch: what deadlines are counted against. */
export const now = () => Date.now() + skew;

/** @param {number} ms */
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A fresh Idempotency-Key. crypto.randomUUID is missing on plain http outside localhost. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @typedef {{body?: object, headers?: Record<string, string>, patience?: number, cache?: RequestCache, begins?: boolean}} CallOptions
 *   patience in seconds; without a `cache` the browser keeps and uses no stored answer; begins: whether the call may begin
 *   a session, if it needs one
 */

/** @typedef {(method: string, path: string, options?: CallOptions) => Promise<any>} Send */

/** How a call goes: on a fan's page by way of the session (session.js). @type {Send} */
let way = send;

/** @param {(send: Send) => Send} wrap */
export function callBy(wrap) {
  way = wrap(send);
}

/**
 * One call of the API. Throws a Problem where it is refused or not answered.
 * @template [Answer=unknown] as gateway/pages/contract.d.ts has it
 * @param {string} method @param {string} path as the API's description has it
 * @param {CallOptions} [options]
 * @returns {Promise<Answer>} null where the answer has no body
 */
export const call = (method, path, options) => way(method, path, options);

/** @type {Send} */
async function send(method, path, { body, headers = {}, patience = 20, cache = "no-store" } = {}) {
  const started = Date.now();
  let response, answer;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience * 1000);
  try {
    response = await fetch(below(path), {
      method,
      headers: {
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache,
      signal: abort.signal,
    });
    const text = await response.text();
    answer = text ? JSON.parse(text) : null;
  } catch (error) {
    throw new Problem(response && !response.ok ? response.status : 0, null);
  } finally {
    clearTimeout(timer);
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  const ageMs = 1000 * Number(response.headers.get("Age")); // how long a cache has kept the answer
  // The header is cut to whole seconds; the latest it can mean, so that no deadline is shown too late.
  if (date && Date.now() - started < 2000) skew = date + ageMs + 1000 - (started + Date.now()) / 2;
  if (!response.ok) {
    const problem = new Problem(response.status, answer);
    const after = Number(response.headers.get("Retry-After"));
    if (after > 0 && !problem.body.retryAfterSeconds) problem.body.retryAfterSeconds = after;
    throw problem;
  }
  return answer;
}

/** Leave for the page where the fan pays, in this page's language. @param {string} href @returns {Promise<never>} */
export function goAndPay(href) {
  location.assign(pageAddress(`/pay/${href.split("/").pop()}`));
  return new Promise(() => {});
}

/**
 * A booking command to its end: send it, wait for the job, answer its result or throw its problem. The key
 * makes every repeat safe, so a lost network or a busy lane is tried again. Who has a purchase's key and no session may
 * not read the job, and asks for its end by sending the same again.
 * @template [Result=unknown]
 * @param {string} method @param {string} path
 * @param {{body?: object, key: string, headers?: Record<string, string>, onWait?: (why: string) => void,
 *   onPayment?: (href: string) => Promise<never>}} options onPayment: the job waits for its payment, at that page
 * @returns {Promise<Result>}
 */
export async function book(method, path, { body, key, headers = {}, onWait = () => {}, onPayment = goAndPay }) {
  /** @type {Job | null} */
  let job = null;
  for (let tries = 0;; tries++) {
    try {
      if (!job) {
        job = /** @type {Job} */ (await call(method, path, {
          body,
          headers: { ...headers, Prefer: "wait=5", "Idempotency-Key": key },
        }));
      }
      while (job.status === "queued") {
        if ("payment" in job && job.payment) return await onPayment(job.payment.href);
        onWait("queued");
        job = /** @type {Job} */ (headers["X-Purchase-Key"]
          ? await call(method, path, {
            body,
            headers: { ...headers, Prefer: "wait=20", "Idempotency-Key": key },
            patience: 30,
          })
          : await call("GET", `/api/jobs/${job.jobId}?wait=20`, { patience: 30 }));
      }
      if (job.status === "failed") {
        const problem = /** @type {ProblemBody} */ (job.problem ?? {});
        throw new Problem(problem.status ?? 409, problem);
      }
      return /** @type {Result} */ (job.result);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const lost = error.code === "unknown_job";
      if (lost) job = null;
      if (error.status === 0 && navigator.onLine === false) {
        onWait("offline");
        await new Promise((online) => addEventListener("online", online, { once: true }));
        tries = -1;
        continue;
      }
      const again = lost || error.status === 0 || error.status === 502 || error.code === "overloaded";
      if (!again || tries >= 6) throw error;
      onWait(error.status === 0 ? "offline" : "busy");
      await sleep(1000 * Math.max(error.retryAfter, 0.5 * 2 ** tries) * (1 + Math.random() / 4));
    }
  }
}

const BEAT_MS = 10_000; // The server lets no stream be silent for longer.
export const SILENT_MS = 2 * BEAT_MS + 1000; // After two beats that did not come the connection is dead, whatever it says.
const LOOK_MS = 1000;

/**
 * A server-sent stream that comes back by itself. The browser resumes it with Last-Event-ID; when the browser gives up
 * (an error status) it is opened anew, later and later. A connection on which nothing comes any more is taken for lost:
 * packets may be swallowed in a tunnel, or the computer has slept.
 */
export class Stream {
  /**
   * @param {() => string} address its path as the API's description has it; asked anew at every opening
   * @param {Record<string, (data: never) => void>} on what is done at each of the stream's events, by their names
   * @param {(connected: boolean) => void} onState
   */
  constructor(address, on, onState) {
    this.address = address;
    this.on = on;
    this.onState = onState;
    this.connected = false;
    this.heardAt = Date.now();
    this.triedAt = 0;
    this.failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.closed = false;
    this.open();
    this.watch = setInterval(() => this.look(), LOOK_MS);
  }
  /** Open it anew where nothing was heard for too long, neither on it nor since it was opened. */
  look() {
    const silentMs = Date.now() - Math.max(this.heardAt, this.triedAt);
    if (silentMs <= SILENT_MS || this.source?.readyState === EventSource.CLOSED) return;
    this.set(false);
    this.open();
  }
  open() {
    this.pause();
    if (this.closed) return;
    this.triedAt = Date.now();
    const source = (this.source = new EventSource(below(this.address())));
    source.onopen = () => {
      this.failures = 0;
      this.heard();
    };
    source.onerror = () => {
      if (this.source !== source) return;
      this.set(false);
      if (source.readyState === EventSource.CLOSED) {
        this.timer = setTimeout(
          () => this.open(),
          Math.min(20000, 1000 * 2 ** this.failures++) * (0.7 + Math.random() * 0.6),
        );
      }
    };
    source.addEventListener("beat", () => this.heard());
    for (const [name, handle] of Object.entries(this.on)) {
      source.addEventListener(name, (event) => {
        this.heard();
        const text = /** @type {MessageEvent} */ (event).data;
        /** @type {(data: unknown) => void} */ (handle)(text ? JSON.parse(text) : {});
      });
    }
  }
  /** Give the connection free until `open` is called. */
  pause() {
    clearTimeout(this.timer);
    this.source?.close();
  }
  heard() {
    this.heardAt = Date.now();
    this.set(true);
  }
  /** @param {boolean} connected */
  set(connected) {
    if (this.connected === connected) return;
    this.connected = connected;
    this.onState(connected);
  }
  close() {
    this.closed = true;
    clearInterval(this.watch);
    this.pause();
  }
}
