// @ts-check
// Alerts at the fan's turn, only where the fan asked for them: a sound that goes on until it is noticed, a notification,
// vibration, and a screen that stays on meanwhile.
import { below } from "../addresses.js";
import { call } from "../api.js";
import { t } from "../text.js";

/** @import { EventData, Stage, State } from "./state.js" */

const PITCHES = [660, 880, 1100];
const TEST_PITCHES = [660, 880];
const RING_EVERY_MS = 2000;
const RING_MS_MAX = 60_000;
const VIBRATION_MS = [200, 100, 200, 100, 400];
/** The parts of the page in which a fan waits for something. @type {Stage[]} */
const WAITING = ["early", "lobby", "waiting", "called"];

export class Alert {
  /** @param {EventData} event @param {string} worker the address of the script that shows notifications */
  constructor(event, worker) {
    this.event = event;
    this.worker = worker;
    this.push = `/api/queue/${event.eventId}/push`;
    this.on = false;
    /** @type {AudioContext | null} */
    this.audio = null;
    /** @type {Promise<ServiceWorkerRegistration | null>} */
    this.registered = Promise.resolve(null);
    /** @type {WakeLockSentinel | null} */
    this.wakeLock = null;
    this.waits = false;
    this.timer = 0;
    /** @type {NodeListOf<HTMLButtonElement>} */
    this.buttons = document.querySelectorAll("[data-alert]");
    for (const button of this.buttons) {
      button.hidden = !("AudioContext" in window);
      button.addEventListener("click", () => this.toggle());
    }
    for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, () => this.hush(), { capture: true });
    document.addEventListener("visibilitychange", () => this.keepAwake());
  }

  /** @param {State} state */
  show({ stage }) {
    this.waits = WAITING.includes(stage);
    this.keepAwake();
    if (stage === "held" || stage === "done") this.hush();
  }

  toggle() {
    this.on = !this.on;
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(this.on));
      const words = /** @type {Element} */ (button.lastElementChild);
      words.textContent = this.on ? t("Alert is on") : t("Alert me");
    }
    this.keepAwake();
    if (!this.on) {
      this.unsubscribe().catch(() => {});
      return this.hush();
    }
    this.audio ??= new AudioContext();
    this.audio.resume();
    this.play(TEST_PITCHES);
    navigator.vibrate?.(VIBRATION_MS[0]);
    // Phones allow notifications only from a service worker. Pages without TLS have none.
    this.registered = navigator.serviceWorker?.register(this.worker).catch(() => null) ?? this.registered;
    const allowed = "Notification" in window ? Notification.requestPermission() : Promise.resolve("denied");
    allowed.then(async (permission) => {
      if (permission === "granted" && this.event.pushKey) await this.subscribe();
    }).catch(() => {});
  }

  /** Have this browser told by web push too, also when the page is closed. */
  async subscribe() {
    if (!(await this.registered)) return;
    const { pushManager } = await navigator.serviceWorker.ready;
    const options = { userVisibleOnly: true, applicationServerKey: this.event.pushKey };
    const { endpoint, keys } = (await pushManager.subscribe(options)).toJSON();
    if (this.on) await call("POST", this.push, { body: { endpoint, keys, language: document.documentElement.lang } });
  }

  async unsubscribe() {
    const subscription = await (await this.registered)?.pushManager?.getSubscription();
    // The subscription itself stays: other events may tell this browser too.
    if (subscription) await call("POST", `${this.push}/end`, { body: { endpoint: subscription.endpoint } });
  }

  /** It is the fan's turn: go on until the page is touched. @param {string} title @param {string} words */
  ring(title, words) {
    if (!this.on) return;
    this.hush();
    const until = Date.now() + RING_MS_MAX;
    const again = () => {
      this.play(PITCHES);
      navigator.vibrate?.(VIBRATION_MS);
      if (Date.now() >= until) this.hush();
    };
    this.timer = setInterval(again, RING_EVERY_MS);
    again();
    if (document.hidden) this.notify(title, words);
  }

  /** Once, as at the last minute. */
  ringOnce() {
    if (this.on) this.play(TEST_PITCHES);
  }

  hush() {
    clearInterval(this.timer);
    this.timer = 0;
  }

  /** @param {string} title @param {string} body */
  async notify(title, body) {
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    const options = {
      body,
      tag: `admitone${below("")}-${this.event.eventId}`,
      requireInteraction: true,
      data: location.href,
    };
    const worker = await this.registered;
    try {
      if (worker) await worker.showNotification(title, options);
      else new Notification(title, options);
    } catch {
      // A phone without a service worker; the sound has played.
    }
  }

  /** @param {number[]} pitches in Hz */
  play(pitches) {
    const { audio } = this;
    if (!audio) return;
    pitches.forEach((pitch, i) => {
      const start = audio.currentTime + i * 0.22;
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.0001, start);
      gain.gain.exponentialRampToValueAtTime(0.2, start + 0.03);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + 0.5);
      tone.connect(gain).connect(audio.destination);
      tone.start(start);
      tone.stop(start + 0.55);
    });
  }

  /** Keep the screen on while a fan who asked for alerts waits. The browser takes that back when the page is hidden. */
  async keepAwake() {
    const wanted = this.on && this.waits && !document.hidden;
    if (wanted === Boolean(this.wakeLock)) return;
    try {
      if (wanted) {
        const lock = await navigator.wakeLock?.request("screen");
        lock?.addEventListener("release", () => (this.wakeLock = null));
        this.wakeLock = lock ?? null;
      } else {
        const lock = this.wakeLock;
        this.wakeLock = null;
        await lock?.release();
      }
    } catch {
      // The battery is low, or the browser has no such lock.
    }
  }
}
