// @ts-check
// One event's page, from the line to the checkout.
import { Captcha } from "./captcha.js";
import { book, call, newKey, now, Problem, sleep, Stream } from "./api.js";
import { keyOf, SeatMap, seatOf } from "./seats.js";
import { clock, count, countdown, eta, moneyIn, plural, REASONS, returnWords, stockWords } from "./words.js";

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const event = JSON.parse($("event-data").textContent ?? "");
const money = moneyIn(event.currency, event.exponent);
const queue = `/api/queue/${event.eventId}`;
const SOLD_OUT_MS = [45000, 75000]; // between two looks whether seats have come back: within the server's REOPEN_MS
const STOCK_MS = 10000; // at least between two questions for each ticket type's stock, while waiting
const captchaWorker = $("captcha-box").dataset.worker ?? "";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
/** @type {Map<number, {ticketTypeId: number, ticketType: string, price: number}>} */
const tickets = new Map(event.tickets.map((/** @type {any} */ ticket) => [ticket.ticketTypeId, ticket]));

// ---- what is kept between visits: the place token restores a place that the server has lost

/** @param {string} what @param {string | null} [value] @returns {string | null} */
function keep(what, value) {
  const name = `admitone:${what}`;
  try {
    if (value === undefined) return localStorage.getItem(name);
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Storage may be forbidden; then the place lives as long as the page and its session.
  }
  return value ?? null;
}

let token = keep(`place:${event.eventId}`);
let pass = "";
const headers = () => ({ ...(token ? { "X-Place-Token": token } : {}), ...(pass ? { "X-Admission-Pass": pass } : {}) });

// ---- the parts of the page

let stage = document.querySelector(".stage:not([hidden])")?.getAttribute("data-stage") ?? "join";

/** @param {string} next */
function show(next) {
  const moved = next !== stage;
  stage = next;
  for (const part of document.querySelectorAll(".stage")) {
    part.toggleAttribute("hidden", part.getAttribute("data-stage") !== next);
  }
  $("selection").hidden = next !== "choose";
  document.body.classList.toggle("choosing", next === "choose");
  if (next !== "lobby" && next !== "waiting" && next !== "called") place.forget();
  if (next !== "lobby") lobby.stop();
  access.draw();
  if (moved) window.scrollTo({ top: 0, behavior: calm.matches ? "auto" : "smooth" });
}

/** @param {string} text @param {"bad" | "good"} [tone] */
function say(text, tone = "bad") {
  const box = $("message");
  box.textContent = text;
  box.className = `message ${tone}`;
  box.hidden = !text;
}
const hush = () => say("");

let announcedAt = 0;
/** Tell a screen reader, but not more often than it can be listened to. @param {string} text @param {number} [everyMs] */
function announce(text, everyMs = 0) {
  if (Date.now() - announcedAt < everyMs) return;
  announcedAt = Date.now();
  $("announcer").textContent = text;
}

/** What the organiser has to say to the line; empty: nothing. @param {string} text */
function showMessage(text) {
  const words = /** @type {HTMLElement} */ ($("line-message").querySelector("span"));
  if (words.textContent !== text) words.textContent = text;
  $("line-message").hidden = !text;
}

/** To write the same again would have a screen reader read it again. @param {HTMLElement} where @param {string} text */
function sayOnce(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

let connectionTimer = 0;
/** A stream that comes back at once is not worth a word. @param {boolean} connected */
function connection(connected) {
  clearTimeout(connectionTimer);
  connectionTimer = setTimeout(() => showConnection(connected), connected ? 0 : 3000);
}

/** @param {boolean} connected */
function showConnection(connected) {
  const box = $("connection");
  box.hidden = !place.stream && !live;
  box.textContent = connected ? "Live" : "Reconnecting…";
  box.classList.toggle("is-lost", !connected);
}

/** @param {number} type @param {{available: number, held: number}} stock */
function showStock(type, stock) {
  const row = document.querySelector(`[data-ticket="${type}"]`);
  const words = row?.querySelector(".stock");
  const text = stockWords(stock);
  if (words && words.textContent !== text) words.textContent = text;
  row?.querySelector("progress")?.setAttribute("value", String(stock.available));
}

let stockSeen = "";
let stockTimer = 0;
/** The line's news count the whole hall; how it falls to the ticket types is asked for now and then. @param {{free: number, held: number}} stock */
function hallStock(stock) {
  $("stock-all").textContent = `${count(stock.free)} seats left in all, ${count(stock.held)} held.`;
  const seen = `${stock.free}/${stock.held}`;
  if (seen === stockSeen || stockTimer || document.hidden) return;
  stockSeen = seen;
  stockTimer = setTimeout(async () => {
    try {
      const { tickets: all } = await call("GET", `/api/initial-call/${event.eventId}`);
      for (const ticket of all) {
        showStock(ticket.ticketTypeId, { available: ticket.availableCount, held: ticket.heldCount });
      }
    } catch {
      // The next change asks again.
    }
    stockTimer = 0;
  }, STOCK_MS * (1 + Math.random()));
}

// ---- the tab's title and icon carry the place

const title = document.title;
const icon = /** @type {HTMLLinkElement} */ ($("favicon"));
const iconPlain = icon.href;
/** @param {string} words @param {string} [sign] up to four characters */
function tab(words, sign) {
  document.title = words ? `${words} · ${event.name}` : title;
  const size = !sign || sign.length < 3 ? 19 : sign.length < 4 ? 15 : 12;
  icon.href = sign
    ? `data:image/svg+xml,${
      encodeURIComponent(
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#f5b301"/><text x="16" y="${
          16 + size * 0.36
        }" font-family="sans-serif" font-weight="700" font-size="${size}" text-anchor="middle" fill="#17181c">${sign}</text></svg>`,
      )
    }`
    : iconPlain;
}
/** @param {number} n */
const shortCount = (n) => (n < 10000 ? String(n) : n < 1e6 ? `${Math.floor(n / 1000)}k` : "1M+");

// ---- sound and notification, only when asked for

const bell = {
  on: false,
  /** @type {AudioContext | null} */
  audio: null,
  ring() {
    if (!this.on || !this.audio) return;
    const start = this.audio.currentTime;
    [660, 880, 1100].forEach((pitch, i) => {
      const tone = /** @type {AudioContext} */ (this.audio).createOscillator();
      const gain = /** @type {AudioContext} */ (this.audio).createGain();
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.0001, start + i * 0.22);
      gain.gain.exponentialRampToValueAtTime(0.2, start + i * 0.22 + 0.03);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + i * 0.22 + 0.5);
      tone.connect(gain).connect(/** @type {AudioContext} */ (this.audio).destination);
      tone.start(start + i * 0.22);
      tone.stop(start + i * 0.22 + 0.55);
    });
    if ("Notification" in window && Notification.permission === "granted" && document.hidden) {
      try {
        new Notification("It’s your turn", { body: event.name, tag: `admitone-${event.eventId}` });
      } catch {
        // Phones only allow notifications from a service worker; the sound has played.
      }
    }
  },
};

$("notify").hidden = !("AudioContext" in window);
$("notify").addEventListener("click", () => {
  bell.on = !bell.on;
  bell.audio ??= new AudioContext();
  bell.audio.resume();
  if (bell.on && "Notification" in window && Notification.permission === "default") Notification.requestPermission();
  $("notify").setAttribute("aria-pressed", String(bell.on));
  $("notify").textContent = bell.on ? "Sound is on" : "Sound at my turn";
});

// ---- the line

/** The line has ended, and lets its fans go. Seats that are given back open it again, for who is still here in order. */
const soldOut = {
  timer: 0,
  watch() {
    clearTimeout(this.timer);
    $("stock-all").textContent = "";
    for (const type of tickets.keys()) showStock(type, { available: 0, held: 0 });
    const [least, most] = SOLD_OUT_MS;
    this.timer = setTimeout(() => {
      if (stage !== "sold_out") return;
      ask();
      this.watch();
    }, least + (most - least) * Math.random());
  },
};

/** Where the fan stands: over a stream, or by asking while the stream is away. */
const place = {
  /** @type {Stream | null} */
  stream: null,
  first: 0,
  progress: 0,
  timer: 0,

  listen() {
    if (this.stream) return;
    this.stream = new Stream(
      () => `${queue}/stream${token ? `?token=${encodeURIComponent(token)}` : ""}`,
      {
        place: (news) => follow({ state: "waiting", ...news }),
        message: (news) => showMessage(news.message ?? ""),
        called: (news) => follow({ ...news, state: "called" }),
        admitted: (news) => follow({ ...news, state: "admitted" }),
        sold_out: () => follow({ state: "sold_out" }),
        closed: () => follow({ state: "closed" }),
        bye: () => {},
      },
      connection,
    );
    this.timer = setInterval(() => {
      const silent = Date.now() - (this.stream?.heardAt ?? 0);
      if (silent > (this.stream?.connected ? 45000 : 8000)) ask();
    }, 5000);
  },

  forget() {
    this.stream?.close();
    this.stream = null;
    clearInterval(this.timer);
    if (stage !== "choose") $("connection").hidden = true;
  },

  /** @param {any} news */
  draw(news) {
    const paused = (news.roomState ?? event.roomState) === "paused";
    $("paused").hidden = !paused;
    if (typeof news.position === "number") {
      this.first = Math.max(this.first || Number(keep(`first:${event.eventId}`)) || 0, news.position);
      keep(`first:${event.eventId}`, String(this.first));
      this.progress = Math.max(this.progress, this.first > 1 ? (1 - (news.position - 1) / this.first) * 1000 : 500);
      $("progress").setAttribute("value", String(Math.round(this.progress)));
      const text = count(news.position);
      if ($("position").textContent !== text) {
        $("position").textContent = text;
        $("position").classList.remove("moved");
        void $("position").offsetWidth;
        $("position").classList.add("moved");
      }
      tab(`${text} in line`, shortCount(news.position));
    } else {
      $("position").textContent = "–";
      tab("In line");
    }
    const held = news.stock && news.stock.free <= 0 && news.stock.held > 0;
    $("returning").hidden = !held;
    if (held) sayOnce($("returning"), returnWords(news.stock));
    $("run-out").hidden = !news.mayRunOut || held;
    const wait = paused
      ? "The line is paused. Your place is kept."
      : news.lobby
      ? "The lobby’s places are being drawn. Yours comes after them."
      : news.ratePerMinute === 0
      ? "Nobody is let in just now. Your place is kept."
      : held
      ? "No seat is free just now. Your place is kept."
      : news.position === 1
      ? "You are next"
      : eta(news.etaSeconds, news.etaRange);
    $("eta").textContent = wait;
    $("ahead").textContent = count(news.ahead);
    $("waiting").textContent = count(news.waiting);
    // What the estimate goes by: the rate that operators ask for may be far above what comes to pass.
    const pace = news.ratePerMinute === 0 ? 0 : news.linePerMinute;
    if (pace !== undefined) {
      $("rate").textContent = paused
        ? "paused"
        : held || pace === null
        ? "–"
        : pace > 0 && pace < 1
        ? "< 1/min"
        : `${count(Math.round(pace))}/min`;
    }
    if (news.stock) hallStock(news.stock);
    announce(typeof news.position === "number" ? `Place ${count(news.position)} in line. ${wait}.` : wait, 20000);
  },
};

/** An access code, which puts its fan into the priority class. */
const access = {
  priority: false,
  draw() {
    $("access").hidden = this.priority || event.roomState === "off" || !["join", "waiting", "lobby"].includes(stage);
    $("priority").hidden = !this.priority;
    $("place-label").textContent = this.priority ? "Your place in the priority line" : "Your place in line";
  },
  /** @param {any} news */
  hear(news) {
    // A place told over the stream says so only where it is so.
    if (news.priority === undefined && typeof news.position !== "number") return;
    const priority = news.priority === true;
    if (priority !== this.priority) {
      place.first = place.progress = 0;
      keep(`first:${event.eventId}`, null);
    }
    this.priority = priority;
    this.draw();
  },
  /** @param {string} text */
  say(text) {
    $("access-error").textContent = text;
    $("access-error").hidden = !text;
    $("access-code").toggleAttribute("aria-invalid", Boolean(text));
  },
  /** What is wrong with a code, in words; empty where it is not the code. @param {Problem} problem */
  words({ code, body, retryAfter }) {
    const at = (/** @type {string} */ moment) =>
      new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));
    switch (code) {
      case "code_unknown":
        return "We do not know this code. Please check it for typing errors.";
      case "code_used":
        return "This code has been used already.";
      case "code_not_yet":
        return body.at
          ? `This code is good from ${at(body.at)} on. Your place does not change meanwhile.`
          : "This code is not good yet.";
      case "code_expired":
        return body.at ? `This code was good until ${at(body.at)}.` : "This code is not good any more.";
      case "too_many_codes":
        return `Too many wrong codes. Please wait ${plural(Math.max(1, retryAfter), "second")} and try again.`;
      default:
        return "";
    }
  },
};

$("access-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  access.say("");
  await join(/** @type {HTMLInputElement} */ ($("access-code")).value.trim());
});

/** The time before the draw, by the server's clock. */
const lobby = {
  timer: 0,
  due: 0,
  /** @param {any} news */
  draw({ lobby: now }) {
    if (!now) return;
    this.due = performance.now() + 1000 * now.secondsToOnSale;
    const drawing = now.state === "drawing";
    $("lobby-fans").textContent = count(now.participants);
    $("lobby-seal").textContent = now.seedHash;
    if (now.fanHash) $("lobby-me").textContent = now.fanHash;
    $("lobby-progress").hidden = !drawing;
    $("lobby-progress").setAttribute("value", String(Math.round((1000 * now.drawn) / Math.max(1, now.participants))));
    $("lobby-label").textContent = drawing ? "The sale is open" : "The sale opens in";
    $("lobby-words").textContent = drawing
      ? `The places are being drawn: ${count(now.drawn)} of ${count(now.participants)}.`
      : "You are in. When it opens, everyone’s place is drawn.";
    if (!this.timer) this.timer = setInterval(() => this.tick(), 250);
    this.tick();
  },
  tick() {
    const left = this.due - performance.now();
    const text = left > 0 ? countdown(left) : "Drawing…";
    if ($("lobby-left").textContent === text) return;
    $("lobby-left").textContent = text;
    tab(left > 0 ? `Lobby: ${text}` : "Drawing places");
    announce(
      left > 0 ? `In the lobby. The sale opens in ${text}.` : "The sale is open. Places are being drawn.",
      left > 0 ? 30000 : 0,
    );
  },
  stop() {
    clearInterval(this.timer);
    this.timer = 0;
  },
};

let earlyTimer = 0;
/** The lobby is yet to open: the page looks again when it does. @param {any} to */
function early(to) {
  show("early");
  clearInterval(earlyTimer);
  const left = () => Date.parse(to.opensAt) - now();
  const tick = () => {
    $("early-left").textContent = `It opens in ${countdown(left())}. Keep this page open.`;
    if (left() > -1000) return;
    clearInterval(earlyTimer);
    // Spread out, for all whose page waits come now.
    setTimeout(() => location.reload(), 3000 * Math.random());
  };
  earlyTimer = setInterval(tick, 500);
  tick();
}

/** What befell the fan, told when asked for. */
const told = {
  timer: 0,
  look() {
    $("history").hidden = !event.state && !token;
    if (!/** @type {HTMLDetailsElement} */ ($("history")).open || $("history").hidden || this.timer) return;
    // A change of state is noted before it is told, but another may follow at once.
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.read().catch(() => {});
    }, 300);
  },
  async read() {
    const receipt = await call("GET", `${queue}/receipt`);
    const at = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    $("history-lines").replaceChildren(
      ...receipt.entries.map((/** @type {any} */ entry) => {
        const line = document.createElement("li");
        const time = document.createElement("time");
        time.dateTime = entry.at;
        time.textContent = at.format(new Date(entry.at));
        line.append(time, ` ${REASONS[entry.reason] ?? entry.reason}`);
        return line;
      }),
    );
    const draw = receipt.draw;
    $("history-draw").hidden = !draw?.number;
    if (!draw?.number) return;
    const link = document.createElement("a");
    link.href = draw.href;
    link.textContent = "Recheck the draw";
    $("history-draw").replaceChildren(`You drew place ${count(draw.number)} of ${count(draw.participants)}. `, link);
  },
};
$("history").addEventListener("toggle", () => told.look());

/** Go where the news says the fan stands. @param {any} news @returns {any} */
function follow(news) {
  if (news.token) token = keep(`place:${event.eventId}`, news.token);
  if (news.pass) pass = news.pass;
  if (news.roomState) event.roomState = news.roomState;
  if (typeof news.message === "string") showMessage(news.message);
  access.hear(news);
  if (news.state && news.state !== event.state) {
    event.state = news.state;
    told.look();
  }
  if (stage === "held") return;
  if (news.roomState === "off") return admitted();
  switch (news.state) {
    case "lobby":
      show("lobby");
      lobby.draw(news);
      return place.listen();
    case "waiting":
      show("waiting");
      place.draw(news);
      return place.listen();
    case "called":
      return called(news.claimBySeconds);
    case "admitted":
      return admitted(news.expiresAt);
    case "done":
      return done();
    case "left":
    case "none":
      forgetPlace();
      return show("join");
    case "expired":
      forgetPlace();
      tab("Your turn has passed");
      return show("expired");
    case "closed":
      if (news.lobby?.state === "early") return early(news.lobby);
      tab("");
      return show("closed");
    case "sold_out":
      tab("");
      show("sold_out");
      return soldOut.watch();
  }
}

function forgetPlace() {
  keep(`first:${event.eventId}`, null);
  token = keep(`place:${event.eventId}`, null);
  pass = "";
  place.first = place.progress = 0;
}

let asking = false;
/** Ask where the fan stands; it is a heartbeat too. @param {string} [otherwise] the part to show to who has no place */
async function ask(otherwise = "join") {
  if (asking) return;
  asking = true;
  try {
    follow(await call("GET", queue, { headers: headers() }));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code === "rebuilding") return waitFor("rebuilding", error);
    if (error.status === 404) {
      forgetPlace();
      show(otherwise);
    } else if (error.status === 401) strangers();
  } finally {
    asking = false;
  }
}

/** The session is gone or another, so the place token is not ours any more; the page's next load gives a session. */
function strangers() {
  forgetPlace();
  const [arrival] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  // Reloading did not help a moment ago.
  const again = arrival?.type === "reload" && performance.now() < 10000;
  if (!again) location.reload();
  else say("This browser keeps no cookies for this site, so it can have no place. Please allow them and reload.");
}

const joinCaptcha = new Captcha($("message"), captchaWorker, (state) => {
  if (state === "working") {
    say("Many people are joining from your network, so we check that you are a person. One moment…", "good");
  }
  if (state === "done") hush();
});

let joining = false;
let codeGiven = ""; // until the line has taken or refused it: a full line's next try brings it too
/** @param {string} [accessCode] */
async function join(accessCode) {
  if (joining) return;
  joining = true;
  codeGiven = accessCode || codeGiven;
  retry.stop();
  hush();
  const buttons =
    /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-join] button, #access-go"));
  for (const button of buttons) button.disabled = true;
  try {
    let captchaToken;
    for (let tries = 0;; tries++) {
      try {
        const body = { ...(captchaToken ? { captchaToken } : {}), ...(codeGiven ? { accessCode: codeGiven } : {}) };
        follow(await call("POST", queue, { body, headers: headers() }));
        hush();
        if (codeGiven && access.priority) {
          /** @type {HTMLInputElement} */ ($("access-code")).value = "";
          say("Your code is good: you are in the priority line.", "good");
        }
        codeGiven = "";
        return;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const asked = error.code === "captcha_required" || error.code === "captcha_failed";
        if (!asked || tries >= 3) throw error;
        joinCaptcha.spent();
        captchaToken = await joinCaptcha.token("join", true);
      }
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (access.words(error)) {
      codeGiven = "";
      if (stage === "line_full" || stage === "rebuilding") show("join");
      access.say(access.words(error));
    } else if (error.code === "line_full" || error.code === "rebuilding") waitFor(error.code, error);
    else if (error.code === "sold_out" || error.code === "closed") show(error.code);
    else if (error.code === "rate_limited") {
      say("Many people are joining from your network. Keep this page open: it tries again by itself.");
      retry.start(error.retryAfter || 10);
    } else if (error.status === 401) location.reload();
    else if (error.status === 0) {
      say("We cannot reach the server. Check your network; this page tries again by itself.");
      retry.start(5);
    } else say(error.message);
  } finally {
    joining = false;
    for (const button of buttons) button.disabled = false;
  }
}

const retry = {
  timer: 0,
  /** @param {number} seconds */
  start(seconds) {
    this.stop();
    // Spread out, so that fans turned away together do not come back together.
    const due = Date.now() + seconds * 1000 * (1 + Math.random() / 2);
    this.timer = setInterval(() => {
      for (const words of document.querySelectorAll("[data-retry]")) {
        words.textContent = `This page tries again in ${clock(due - Date.now())}.`;
      }
      if (Date.now() >= due) join();
    }, 500);
  },
  stop() {
    clearInterval(this.timer);
  },
};

/** @param {"line_full" | "rebuilding"} why @param {Problem} problem */
function waitFor(why, problem) {
  show(why);
  retry.start(problem.retryAfter || 10);
}

let claiming = false;
/** @param {number} [seconds] left to claim @returns {Promise<any>} */
async function called(seconds) {
  show("called");
  tab("It’s your turn!", "★");
  if (claiming) return;
  claiming = true;
  bell.ring();
  announce("It is your turn. Letting you in.");
  const due = now() + 1000 * (seconds ?? 60);
  const left = () => ($("called-left").textContent = `Your turn is kept for ${clock(due - now())}.`);
  let timer = 0;
  try {
    for (;;) {
      try {
        return follow({
          state: "admitted",
          ...(await call("POST", `${queue}/claim`, { body: {}, headers: headers(), patience: 8 })),
        });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (!timer) timer = setInterval(left, 500);
        const passing = error.status === 0 || error.status === 429 || error.status >= 500;
        if (!passing || now() > due) {
          claiming = false;
          await ask("expired");
          return;
        }
        $("called-words").textContent = "Trying to let you in…";
        left();
        $("claim").hidden = false;
        await Promise.race([
          sleep(2000),
          new Promise((go) => $("claim").addEventListener("click", go, { once: true })),
        ]);
      }
    }
  } finally {
    clearInterval(timer);
    claiming = false;
  }
}

// ---- choosing seats

/** @type {SeatMap | null} */
let map = null;
/** @type {Stream | null} */
let live = null;
let renewing = false;
let turnTimer = 0;

/** @param {string} [expiresAt] */
function admitted(expiresAt) {
  if (stage === "choose" && live) return;
  show("choose");
  tab("Choose your seats", "★");
  announce("You are in. Choose your seats.");
  clearInterval(turnTimer);
  $("turn-left").hidden = !expiresAt;
  if (expiresAt) {
    const ends = Date.parse(expiresAt);
    const tick = () => {
      $("turn-left").textContent = `Your turn: ${clock(ends - now())} left`;
      $("turn-left").classList.toggle("is-late", ends - now() < 120000);
      if (now() < ends) return;
      clearInterval(turnTimer);
      stopLive();
      ask("expired");
    };
    turnTimer = setInterval(tick, 1000);
    tick();
  }
  openMap();
}

async function openMap() {
  if (!map) {
    map = new SeatMap({
      box: $("map"),
      chips: $("sections"),
      tickets,
      money,
      seatsMax: event.seatsPerFanMax,
      drawnMax: event.seatsDrawnMax,
      onPick: showPicked,
      onLost: (keys) =>
        say(`${names(keys)} ${keys.length > 1 ? "were" : "was"} just taken by somebody else. Please pick again.`),
      onLimit: () => say(`You can take at most ${plural(event.seatsPerFanMax, "seat")}.`),
      onStock: () => {
        $("stock-all").textContent = "";
        for (const type of tickets.keys()) showStock(type, /** @type {SeatMap} */ (map).stock(type));
      },
    });
    for (let pause = 1;; pause = Math.min(pause * 2, 15)) {
      try {
        const plan = await call("GET", `/api/events/${event.eventId}/seats`);
        map.build(plan.sections);
        map.snapshot(plan.taken);
        break;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        connection(false);
        await sleep(1000 * pause);
      }
    }
  }
  if (stage !== "choose" || live) return;
  live = new Stream(
    () => `/api/events/${event.eventId}/live`,
    {
      snapshot: (news) => (news.revision === event.revision ? map?.snapshot(news.taken) : renew()),
      seats: (news) => map?.change(news.seats),
      bye: () => {},
    },
    connection,
  );
}

/** The organiser has changed the hall or its prices: show it anew, once every server knows it. */
function renew() {
  if (renewing) return;
  renewing = true;
  say("The organiser has just changed this hall. We show it anew…");
  setTimeout(() => location.reload(), 1500 + 1500 * Math.random());
}

function stopLive() {
  live?.close();
  live = null;
  clearInterval(turnTimer);
  $("connection").hidden = true;
}

/** @param {string[]} keys */
const names = (keys) => keys.map((key) => map?.nameOf(key) ?? key).join(", ");

/** @param {string[]} keys */
function showPicked(keys) {
  const list = $("picked");
  list.replaceChildren(
    ...keys.map((key) => {
      const line = document.createElement("li");
      const name = document.createElement("span");
      name.textContent = map?.nameOf(key) ?? key;
      const price = document.createElement("b");
      price.textContent = money(map?.priceOf(key) ?? 0);
      const drop = document.createElement("button");
      drop.type = "button";
      drop.className = "drop";
      drop.setAttribute("aria-label", `Remove ${name.textContent}`);
      drop.textContent = "×";
      drop.addEventListener("click", () => map?.drop([key]));
      line.append(name, price, drop);
      return line;
    }),
  );
  const total = keys.reduce((sum, key) => sum + (map?.priceOf(key) ?? 0), 0);
  $("picked-count").textContent = keys.length ? plural(keys.length, "seat") : "No seats picked";
  $("picked-total").textContent = keys.length ? money(total) : "";
  /** @type {HTMLButtonElement} */ ($("hold")).disabled = !keys.length;
  $("selection").classList.toggle("is-empty", !keys.length);
  announce(keys.length ? `${plural(keys.length, "seat")} picked, ${money(total)}` : "No seats picked");
}

/** @param {string[]} keys @returns {any[]} as the API wants them */
function seatDetails(keys) {
  const byType = new Map();
  for (const { type, row, seat } of keys.map(seatOf)) {
    if (!byType.has(type)) byType.set(type, { ticketTypeId: type, metaData: { rowNumbers: [], seatNumbers: [] } });
    byType.get(type).metaData.rowNumbers.push(row);
    byType.get(type).metaData.seatNumbers.push(seat);
  }
  return [...byType.values()];
}

/** @param {HTMLButtonElement} button @param {string} words @param {() => Promise<void>} work */
async function busy(button, words, work) {
  const before = button.textContent;
  button.disabled = true;
  button.textContent = words;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
    if (button.textContent === words) button.textContent = before;
    button.disabled = button.id === "hold" && !map?.picked.size;
  }
}

/** @param {string} why */
const onWait = (why) =>
  say(
    why === "offline"
      ? "The network is slow. We keep trying; nothing is booked twice."
      : "Many people are booking at once. Your request is in the queue…",
    "good",
  );

/** @param {any} what @param {HTMLButtonElement} button */
function reserve(what, button) {
  hush();
  return busy(button, "Holding…", async () => {
    try {
      const held = await book("POST", "/api/reserve", {
        body: { eventId: event.eventId, ...what },
        key: newKey(),
        headers: headers(),
        onWait,
      });
      hush();
      map?.drop([...map.picked]);
      hold(held);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      refused(error);
    }
  });
}

/** @param {Problem} problem */
function refused(problem) {
  switch (problem.code) {
    case "seats_taken": {
      const keys = (problem.body.seats ?? []).map((/** @type {any} */ seat) =>
        keyOf(seat.ticketTypeId, seat.rowNumber, seat.seatNumber)
      );
      map?.drop(keys);
      return say(
        `${keys.length ? names(keys) : "A seat you picked"} ${
          keys.length > 1 ? "were" : "was"
        } taken a moment ago. Nothing is held yet: pick again.`,
      );
    }
    case "no_block":
      return say(
        "There are not that many seats together of this ticket. Try fewer, another ticket, or pick on the plan.",
      );
    case "sold_out":
      return say("These tickets are sold out. Seats that others hold may come back: watch the plan.");
    case "limit_exceeded":
      return say(
        `One person can have at most ${
          plural(event.seatsPerFanMax, "seat")
        } for this event, purchases and holds together.`,
      );
    case "not_on_sale":
      return say("These tickets are not on sale yet.");
    case "not_admitted":
      stopLive();
      say("Your turn has ended, so seats cannot be held any more.");
      return ask("expired");
    case "timed_out":
    case "overloaded":
      return say("The booking desk is very busy and could not take your request. Nothing is held; please press again.");
    case "offline":
      return say("We cannot reach the server. Check your network, then press again; nothing is booked twice.");
    default:
      return say(problem.message);
  }
}

for (let n = 1; n <= event.seatsPerFanMax && n <= 20; n++) {
  $("quick-count").append(new Option(String(n), String(n), n === 2, n === 2));
}
for (const { ticketTypeId, ticketType, price } of tickets.values()) {
  $("quick-type").append(new Option(`${ticketType} · ${money(price)}`, String(ticketTypeId)));
}
$("quick").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const fields = new FormData(/** @type {HTMLFormElement} */ ($("quick")));
  reserve(
    { bestAvailable: { ticketTypeId: Number(fields.get("type")), quantity: Number(fields.get("count")) } },
    /** @type {HTMLButtonElement} */ ($("quick-go")),
  );
});
$("hold").addEventListener(
  "click",
  () => reserve({ seatDetails: seatDetails([...(map?.picked ?? [])]) }, /** @type {HTMLButtonElement} */ ($("hold"))),
);

// ---- the hold and the checkout

/** @type {any} */
let held = null;
let holdTimer = 0;
const personWords = {
  idle: "",
  working: "Checking that you are a person…",
  done: "Checked that you are a person",
  failed: "The check that you are a person failed. Press Buy to try it again.",
};
const captcha = new Captcha($("captcha-box"), captchaWorker, (state) => {
  $("person").textContent = personWords[state];
  $("person").className = `person is-${state}`;
});

/** @param {any} reservation */
function hold(reservation) {
  held = reservation;
  stopLive();
  show("held");
  tab("Seats held", "★");
  const ends = Date.parse(held.expiresAt);
  $("hold-until").textContent = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(ends);
  $("hold-seats").replaceChildren(
    ...held.seats.map((/** @type {any} */ seat) => {
      const line = document.createElement("li");
      const name = document.createElement("span");
      const price = document.createElement("b");
      const ticket = tickets.get(seat.ticketTypeId);
      name.textContent = `${ticket?.ticketType ?? "Seat"} row ${seat.rowNumber} seat ${seat.seatNumber}`;
      price.textContent = money(seat.amount ?? ticket?.price ?? 0);
      line.append(name, price);
      return line;
    }),
  );
  $("hold-seats").parentElement?.style.setProperty("--edge", `${2 * Math.max(2, held.seats.length) + 1.8}rem`);
  $("hold-total").textContent = money(held.totalAmount);
  $("buy").textContent = `Buy ${plural(held.seats.length, "ticket")} · ${money(held.totalAmount)}`;
  announce(`${plural(held.seats.length, "seat")} held for you until ${$("hold-until").textContent}.`);
  clearInterval(holdTimer);
  const whole = event.holdSeconds * 1000;
  // The Date header may be a second or two behind: never show more than the whole.
  const left = () => Math.min(whole, ends - now());
  const tick = () => {
    $("hold-left").textContent = clock(left());
    $("hold-progress").setAttribute("value", String(Math.round((1000 * Math.max(0, left())) / whole)));
    document.body.classList.toggle("is-late", left() < 60000);
    if (left() < 60000 && left() > 58000) announce("Less than a minute left to buy.", 5000);
    // A purchase already on its way has the server's grace; its answer decides.
    if (left() <= 0 && !buying) lapse();
  };
  holdTimer = setInterval(tick, 500);
  tick();
  captcha.needed("checkout").then((needed) => {
    if (needed) captcha.begin("checkout").catch(() => {});
  }, () => {});
}

/** @param {string} [why] */
function lapse(why = "The hold on your seats has ended, so others can take them now.") {
  endHold();
  say(why);
  again();
}

function endHold() {
  clearInterval(holdTimer);
  document.body.classList.remove("is-late");
  held = null;
  stage = "";
}

/** Back to the seats, if the fan may still choose. */
function again() {
  if (event.roomState === "off") admitted();
  else ask("expired");
}

let buying = false;
$("buy").addEventListener("click", () => {
  if (buying) return;
  hush();
  buying = true;
  busy(/** @type {HTMLButtonElement} */ ($("buy")), "Buying…", async () => {
    const { reservationId } = held;
    const name = `buy:${reservationId}`;
    const key = keep(name) ?? keep(name, newKey()) ?? newKey();
    try {
      let purchase;
      for (let tries = 0;; tries++) {
        try {
          const captchaToken = await captcha.token("checkout");
          const body = { eventId: event.eventId, reservationId, ...(captchaToken ? { captchaToken } : {}) };
          purchase = await book("POST", "/api/checkout", { body, key, headers: headers(), onWait });
          break;
        } catch (error) {
          if (!(error instanceof Problem) || error.code !== "captcha_failed" || tries) throw error;
          captcha.spent();
        }
      }
      keep(name, null);
      clearInterval(holdTimer);
      forgetPlace();
      say("Done. Fetching your tickets…", "good");
      location.assign(`/purchases/${purchase.purchaseId}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 0) keep(name, null);
      if (error.code === "hold_expired" || error.code === "not_your_hold" || error.code === "hold_mismatch") lapse();
      else if (error.code === "payment_failed") {
        say("The payment did not go through. Your seats are still held: please try again.");
      } else if (error.code === "captcha_failed") {
        say("The check that you are a person was not accepted. Your seats are still held: press Buy again.");
      } else refused(error);
    }
  }).finally(() => (buying = false));
});

$("release").addEventListener("click", () => {
  hush();
  busy(/** @type {HTMLButtonElement} */ ($("release")), "Giving them back…", async () => {
    try {
      await book("DELETE", `/api/reservations/${held.reservationId}?eventId=${event.eventId}`, {
        key: newKey(),
        headers: headers(),
        onWait,
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code !== "hold_expired") return refused(error);
    }
    hush();
    endHold();
    again();
  });
});

async function done() {
  tab("");
  forgetPlace();
  show("done");
  $("done-again").hidden = ["sold_out", "closed"].includes(event.roomState);
  const { purchases = [] } = await call("GET", "/api/purchases").catch(() => ({}));
  const here = purchases.filter((/** @type {any} */ purchase) => purchase.eventId === event.eventId);
  if (!here.length) return;
  /** @param {any} purchase */
  const live = (purchase) => purchase.details.filter((/** @type {any} */ detail) => !detail.cancelledAt).length;
  if (!here.some(live)) {
    $("done-head").textContent = "You gave your tickets back";
    $("done-words").textContent = "Your purchase was cancelled.";
  }
  $("done-links").replaceChildren(
    ...here.map((/** @type {any} */ purchase) => {
      const link = document.createElement("a");
      link.className = "button";
      link.href = `/purchases/${purchase.purchaseId}`;
      link.textContent = live(purchase) ? `Show ${plural(live(purchase), "ticket")}` : "Show the cancelled purchase";
      return link;
    }),
  );
}

// ---- begin

for (const form of document.querySelectorAll("[data-join]")) {
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    join();
  });
}
/** @param {Event} submit */
async function leave(submit) {
  submit.preventDefault();
  const left = stage === "lobby" ? "lobby" : "line";
  place.forget();
  try {
    await call("DELETE", queue, { headers: headers() });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status !== 404) {
      place.listen();
      return say(`We could not reach the server, so you are still in the ${left}.`);
    }
  }
  forgetPlace();
  tab("");
  show("join");
  say(`You left the ${left}.`, "good");
}
for (const form of document.querySelectorAll("[data-leave]")) form.addEventListener("submit", leave);

// A phone that wakes up has missed news, and its stream may be dead without knowing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && place.stream) ask();
});
addEventListener("online", () => (place.stream ?? live)?.open());
addEventListener("pageshow", (shown) => {
  if (shown.persisted) location.reload();
});

async function begin() {
  told.look();
  access.draw();
  try {
    const { reservations = [] } = await call("GET", `/api/reservations?eventId=${event.eventId}`);
    if (reservations.length) return hold(reservations[0]);
  } catch {
    // No hold can be read now; the place still can.
  }
  if (event.roomState === "off") return admitted();
  if (event.state || token) return ask(["lobby", "waiting", "called", "choose"].includes(stage) ? "join" : stage);
  if (stage === "sold_out") return soldOut.watch();
  if (stage === "early") return early(event.lobby);
  if (stage === "rebuilding") retry.start(10);
}
begin();
