// @ts-check
// One stream for all tabs of a browser that show the same: one tab leads, which is to hold the stream and pass on what
// it brings. Over HTTP/1.1 a browser has six connections to a host, and a stream keeps one for as long as it is open.
import { SILENT_MS, sleep, Stream } from "./api.js";

/** @import { Message, OtherTabs } from "./other-tabs.js" */

/**
 * What is done at an event of the stream; `passedOn` says that another tab holds the stream.
 * @typedef {(data: any, passedOn: boolean) => void} Handle
 */

const LOOK_MS = 5000; // between two questions whether the leading tab lives
const ANSWER_MS = 1500; // A living one has answered by then, even in the background.
const FIRST_ANSWER_MS = 300; // where only the answer tells whether another tab leads
const STREAMS_MAX = 4; // of the six connections: pages and bookings need the others

export class SharedStream {
  /**
   * @param {OtherTabs} tabs
   * @param {string} name of the stream, the same in all tabs that share it
   * @param {() => string} address asked anew at every opening
   * @param {Record<string, Handle>} on what is done at each of the stream's events, by their names
   * @param {(connected: boolean) => void} onState
   * @param {() => [string, unknown][]} [recall] the events that bring a tab up to date which begins to listen
   */
  constructor(tabs, name, address, on, onState, recall = () => []) {
    this.tabs = tabs;
    this.name = name;
    this.lock = `admitone:${tabs.subject}:${name}`;
    this.address = address;
    /** @type {Record<string, Handle>} */
    this.on = { beat: () => {}, ...on };
    this.onState = onState;
    this.recall = recall;
    /** @type {Stream | null} */
    this.stream = null;
    /** Null where the browser has none, as on pages without TLS. @type {LockManager | null} */
    this.locks = navigator.locks ?? null;
    this.leads = false;
    this.resign = () => {};
    this.aliveAt = 0; // when another tab said last that it leads
    this.passedOn = { connected: false, heardAt: Date.now() };
    this.asking = false;
    this.over = new AbortController(); // aborted when this tab wants no news any more
    this.timer = setInterval(() => {
      if (!this.leads && Date.now() - this.passedOn.heardAt > SILENT_MS) this.follow(false);
      this.ask();
    }, LOOK_MS);
    tabs.listeners.add(this.onMessage);
    document.addEventListener("visibilitychange", this.onWake);
    addEventListener("pagehide", this.stop);
    this.begin();
  }

  get connected() {
    return (this.stream ?? this.passedOn).connected;
  }

  get heardAt() {
    return (this.stream ?? this.passedOn).heardAt;
  }

  begin() {
    if (!this.tabs.channel) this.lead();
    else if (this.locks) {
      this.standBy();
      this.ask(ANSWER_MS, true);
    } else this.ask(FIRST_ANSWER_MS, true);
  }

  /** Lead as soon as the tab that does so is closed, or done: the browser hands the lock on. */
  async standBy() {
    const { signal } = this.over;
    while (this.locks && !signal.aborted) await this.leadWithLock({ signal });
  }

  /** @param {LockOptions} options */
  async leadWithLock(options) {
    try {
      await this.locks?.request(this.lock, options, () => this.lead());
    } catch (error) {
      // Another tab took the lock away, since this one did not answer, or this one is over. Any other error means that
      // the browser allows this site no locks.
      if (!(error instanceof DOMException && error.name === "AbortError")) this.locks = null;
    }
    this.resign();
  }

  /** Hold the stream until this tab resigns. */
  async lead() {
    if (this.over.signal.aborted || this.leads) return;
    this.leads = true;
    let over = false;
    /** @type {Promise<void>} */
    const resigned = new Promise((resolve) => {
      this.resign = () => {
        over = true;
        resolve();
      };
    });
    takeConnection(this.locks, resigned, () => {
      if (!over) this.stream = new Stream(this.address, this.passingOn(), (connected) => this.say(connected));
    });
    this.say(false);
    await resigned;
    this.leads = false;
    this.stream?.close();
    this.stream = null;
  }

  /** The handlers of the stream, which tell the other tabs first. @returns {Record<string, (data: any) => void>} */
  passingOn() {
    return Object.fromEntries(
      Object.entries(this.on).map(([event, handle]) => [event, (data) => {
        this.tabs.post({ stream: this.name, event, data });
        handle(data, false);
      }]),
    );
  }

  /** Say in this tab and the others how the stream is. @param {boolean} connected */
  say(connected) {
    this.tabs.post({ stream: this.name, connected });
    this.onState(connected);
  }

  /** @param {Message} message */
  onMessage = ({ stream, from, ask, event, data, connected }) => {
    if (stream !== this.name) return;
    if (ask) {
      if (!this.leads) return;
      this.tabs.post({ stream, connected: this.connected });
      if (ask !== "all") return;
      for (const [event, data] of this.recall()) this.tabs.post({ stream, event, data });
      return;
    }
    // Without locks two tabs may have begun to lead: one of them stays.
    if (this.leads && !this.locks && from < this.tabs.id) this.resign();
    if (this.leads) return;
    this.aliveAt = Date.now();
    if (event) {
      this.passedOn.heardAt = this.aliveAt;
      this.on[event]?.(data, true);
    }
    this.follow(connected ?? true);
  };

  /** How the stream of the tab that leads is. @param {boolean} connected */
  follow(connected) {
    if (connected === this.passedOn.connected) return;
    this.passedOn.connected = connected;
    this.onState(connected);
  }

  /**
   * Ask for a sign of life of the tab that leads; without one this tab leads. A tab asleep keeps its lock.
   * @param {number} [withinMs] @param {boolean} [all] bring this tab up to date too
   */
  async ask(withinMs = ANSWER_MS, all = false) {
    if (this.leads || this.over.signal.aborted) return;
    const askedAt = Date.now();
    this.tabs.post({ stream: this.name, ask: all ? "all" : "life" });
    if (this.asking) return;
    this.asking = true;
    await sleep(withinMs * (1 + Math.random() / 2)); // spread, so that only one of the waiting tabs takes the lead
    this.asking = false;
    if (this.leads || this.aliveAt >= askedAt || this.over.signal.aborted) return;
    if (this.locks) this.leadWithLock({ steal: true });
    else this.lead();
  }

  onWake = () => {
    if (!document.hidden) this.ask(ANSWER_MS, true);
  };

  /** The network is back, or the news may be old: look now. */
  open() {
    if (this.stream) this.stream.open();
    else this.ask(ANSWER_MS, true);
  }

  /**
   * Do some work that needs a connection. Where nothing bounds the browser's streams, this tab's own makes room.
   * @template Result
   * @param {() => Promise<Result>} work
   */
  async makeRoom(work) {
    const stream = this.locks && this.tabs.channel ? null : this.stream;
    stream?.pause();
    try {
      return await work();
    } finally {
      stream?.open();
    }
  }

  stop = () => {
    this.over.abort();
    this.resign();
  };

  close() {
    this.stop();
    clearInterval(this.timer);
    this.tabs.listeners.delete(this.onMessage);
    document.removeEventListener("visibilitychange", this.onWake);
    removeEventListener("pagehide", this.stop);
  }
}

/** Whether one connection carries everything. Only then any number of streams leaves room for the rest. */
const isMultiplexed = () => {
  const [arrival] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  return /^h[23]/.test(arrival?.nextHopProtocol ?? "");
};

/**
 * Open a stream once it is one of at most STREAMS_MAX in this browser.
 * @param {LockManager | null} locks @param {Promise<void>} until the stream is closed then @param {() => void} open
 */
async function takeConnection(locks, until, open) {
  if (!locks || isMultiplexed()) return open();
  /** @param {number} number @param {boolean} ifAvailable @returns {Promise<boolean>} whether the connection was had */
  const take = (number, ifAvailable) =>
    new Promise((had) => {
      const held = (/** @type {Lock | null} */ lock) => {
        had(Boolean(lock));
        return lock ? until : undefined;
      };
      locks.request(`admitone:connection:${number}`, { ifAvailable }, held).catch(() => had(true));
    });
  for (let number = 0; number < STREAMS_MAX; number++) if (await take(number, true)) return open();
  await take(Math.floor(Math.random() * STREAMS_MAX), false);
  open();
}
