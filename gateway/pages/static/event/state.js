// @ts-check
// What the event's page knows, in one object, and how each thing that the server says changes it. Nothing here touches
// the document: the rooms beside this file show the state and act on it.

import { fallOf, lowest } from "../counting-down.js";

/** @import { Fall } from "../counting-down.js" */
/** @import { Lobby, Place, ReservationAnswer, Texts } from "../../contract.d.ts" */

/**
 * The part of the page that is shown.
 * @typedef {"join" | "early" | "lobby" | "waiting" | "called" | "choose" | "held" | "line_full" | "rebuilding"
 *   | "sold_out" | "closed" | "expired" | "done"} Stage
 */

/** @typedef {{ticketTypeId: number, ticketType: string, price: number, quantity: number}} TicketType price in minor units */

/**
 * What the server wrote into the page.
 * @typedef {object} EventData
 * @property {boolean} own whether it was drawn for a fan's session; otherwise it is everybody's, perhaps from a cache
 * @property {number} eventId
 * @property {string} name
 * @property {string} currency ISO 4217
 * @property {number} exponent digits of the currency's minor unit
 * @property {number} seatsPerFanMax
 * @property {string} pushKey the key by which a browser subscribes to web push; empty: there is none
 * @property {number} seatsWholeMax the most seats of a hall that is shown as a whole
 * @property {string} roomState
 * @property {string | null} state the fan's state in the line; null without a place
 * @property {string} onSaleAt
 * @property {number} holdSeconds
 * @property {number} revision goes up with each change of the hall
 * @property {{state: string, opensAt: string} | null} lobby
 * @property {TicketType[]} tickets
 * @property {boolean} isShop whether the line stands before somebody else's shop, and nothing is chosen here
 */

/**
 * What an answer or the stream says of the fan; a field that is left out has not changed. Only the stream says the rate
 * that operators ask for, and how the page may count the position down until it says the next one.
 * @typedef {Partial<Place> & {ratePerMinute?: number, fallsTo?: number, fallsInSeconds?: number}} News
 */

/**
 * @typedef {object} State
 * @property {Stage} stage
 * @property {string} standing the fan's state in the line as the server said it last; empty before it said one
 * @property {string} roomState
 * @property {string} message the organiser's words to the line; empty: none
 * @property {Texts} messages what pages in some languages show in their place
 * @property {string | null} token the signed place, which restores a place that the server has lost
 * @property {string} pass the admission pass; empty without one
 * @property {boolean} priority whether the fan waits in the priority class
 * @property {number} firstPosition the furthest back that the fan stood in this class; 0 before a position is known
 * @property {number} progress how far the fan has come since then, in thousandths; it never falls
 * @property {News | null} place the last news of a fan who waits; its position is the number that is shown
 * @property {number} said the position in that news as the server said it; 0 before a position is known
 * @property {Fall | null} fall how the shown number falls until the next news; null: it stands
 * @property {Lobby | null} lobby the last news of a fan in the lobby
 * @property {string} opensAt when the lobby opens, or the sale where no lobby is yet to open
 * @property {{seconds: number | null, passedOn: boolean} | null} call the last call, how long it may be claimed, and
 *   whether another tab has passed it on, which claims it too
 * @property {boolean} choosing whether the fan may choose seats; false as soon as the turn is in doubt
 * @property {string | null} turnEndsAt
 * @property {string | null} idleEndsAt when the turn ends of a fan who does nothing more; null where it does not
 * @property {boolean} crowded whether more people than seats are choosing
 * @property {ReservationAnswer | null} hold the one that is shown
 * @property {ReservationAnswer[]} holds all that the fan has for this event, also those made in other tabs
 * @property {{seconds: number} | null} retry in how long the page tries to join again by itself
 */

/**
 * What happened, most of it said by the server.
 * @typedef {{type: "news", news: News, passedOn?: boolean}
 *   | {type: "counted", position: number}
 *   | {type: "message", text: string, texts?: Texts}
 *   | {type: "noPlace", stage: Stage}
 *   | {type: "left"}
 *   | {type: "joining"}
 *   | {type: "refused", stage: "line_full" | "rebuilding" | "sold_out" | "closed"}
 *   | {type: "retryLater", seconds: number, stage?: "line_full" | "rebuilding"}
 *   | {type: "codeRefused"}
 *   | {type: "turnInDoubt"}
 *   | {type: "held", hold: ReservationAnswer}
 *   | {type: "heldElsewhere", hold: ReservationAnswer}
 *   | {type: "holdsRead", holds: ReservationAnswer[]}
 *   | {type: "holdChosen", reservationId: string}
 *   | {type: "holdEnded", reservationId: string}
 *   | {type: "bought", reservationId: string}} Action
 */

/**
 * @param {EventData} event @param {Stage} stage as the server has drawn it
 * @param {{token: string | null, firstPosition: number, message: string}} kept from an earlier visit, and in the page
 * @returns {State}
 */
export function initialState(event, stage, kept) {
  return {
    stage,
    standing: event.state ?? "",
    roomState: event.roomState,
    message: kept.message,
    messages: {},
    token: kept.token,
    pass: "",
    priority: false,
    firstPosition: kept.firstPosition,
    progress: 0,
    place: null,
    said: 0,
    fall: null,
    lobby: null,
    opensAt: event.lobby?.state === "early" ? event.lobby.opensAt : event.onSaleAt,
    call: null,
    choosing: false,
    turnEndsAt: null,
    idleEndsAt: null,
    crowded: false,
    hold: null,
    holds: [],
    retry: null,
  };
}

/** @param {State} state @param {Action} action @returns {State} the same object where nothing changes */
export function reduce(state, action) {
  switch (action.type) {
    case "news":
      return follow(hear(state, action.news), action.news, action.passedOn);
    case "counted":
      return state.stage === "waiting" && state.place
        ? { ...state, ...advance(state, action.position), place: { ...state.place, position: action.position } }
        : state;
    case "message":
      return { ...state, message: action.text, messages: action.texts ?? {} };
    case "noPlace":
      return { ...withoutPlace(state), stage: action.stage };
    case "left":
      return { ...withoutPlace(state), stage: "join" };
    case "joining":
      return { ...state, retry: null };
    case "refused":
      return { ...state, stage: action.stage };
    case "retryLater":
      return { ...state, stage: action.stage ?? state.stage, retry: { seconds: action.seconds } };
    case "codeRefused":
      return state.stage === "line_full" || state.stage === "rebuilding" ? { ...state, stage: "join" } : state;
    case "turnInDoubt":
      return { ...state, choosing: false };
    case "held":
      return showHold(withHold(state, action.hold), action.hold);
    case "heldElsewhere":
      return withHold(state, action.hold);
    case "holdsRead":
      return { ...state, holds: action.holds };
    case "holdChosen":
      return showHold(state, state.holds.find((hold) => hold.reservationId === action.reservationId));
    case "holdEnded":
      return withoutHold(state, action.reservationId);
    case "bought":
      return afterPurchase(withoutHold(withoutPlace(state), action.reservationId));
  }
}

/** Take over what the news says, wherever the fan is on the page. @param {State} state @param {News} news @returns {State} */
function hear(state, news) {
  const heard = {
    ...state,
    token: news.token || state.token,
    pass: news.pass || state.pass,
    roomState: news.roomState || state.roomState,
    message: news.message ?? state.message,
    messages: news.messages ?? state.messages,
    standing: news.state || state.standing,
    retry: news.state ? null : state.retry,
  };
  // A position over the stream names the class only where it is the priority class.
  const namesClass = news.priority !== undefined || typeof news.position === "number";
  const priority = namesClass ? news.priority === true : state.priority;
  // The positions of another class are counted apart, so the way starts anew.
  return priority === state.priority ? heard : { ...heard, priority, firstPosition: 0, progress: 0, said: 0 };
}

/** Go to the part of the page where the news says the fan stands. @param {State} state @param {News} news @param {boolean} [passedOn] @returns {State} */
function follow(state, news, passedOn = false) {
  if (state.hold) return state;
  if (news.roomState === "off") return enter(state, {});
  // Whoever is inside no more chooses no more.
  if (state.choosing && news.state && news.state !== "admitted") {
    state = { ...state, choosing: false, idleEndsAt: null, crowded: false };
  }
  switch (news.state) {
    case "lobby":
      return { ...state, stage: "lobby", lobby: news.lobby ?? state.lobby };
    case "waiting":
      return wait(state, news);
    case "called":
      return { ...state, stage: "called", call: { seconds: news.claimBySeconds ?? null, passedOn } };
    case "admitted":
      return enter(state, news);
    case "done":
      return { ...withoutPlace(state), stage: "done" };
    case "left":
    case "none":
      return { ...withoutPlace(state), stage: "join" };
    case "expired":
      return { ...withoutPlace(state), stage: "expired" };
    case "sold_out":
      return { ...state, stage: "sold_out" };
    case "closed":
      return news.lobby?.state === "early"
        ? { ...state, stage: "early", opensAt: news.lobby.opensAt }
        : { ...state, stage: "closed" };
    default:
      return state;
  }
}

/** @param {State} state @param {ReservationAnswer | undefined} hold @returns {State} */
const showHold = (state, hold) => (hold ? { ...state, stage: "held", choosing: false, hold } : state);

/** @param {State} state @param {ReservationAnswer} hold @returns {State} */
function withHold(state, hold) {
  const known = state.holds.some(({ reservationId }) => reservationId === hold.reservationId);
  return known ? state : { ...state, holds: [...state.holds, hold] };
}

/** Where the shown hold has ended, another one is shown. @param {State} state @param {string} ended @returns {State} */
function withoutHold(state, ended) {
  const holds = state.holds.filter(({ reservationId }) => reservationId !== ended);
  const hold = state.hold?.reservationId === ended ? (holds[0] ?? null) : state.hold;
  return { ...state, holds, hold };
}

/** A purchase ends the turn, unless more seats are held. Where there is no line, no turn ends. @param {State} state @returns {State} */
const afterPurchase = (state) =>
  state.holds.length || state.roomState === "off" || (state.stage !== "held" && state.stage !== "choose")
    ? state
    : { ...state, stage: "done", choosing: false };

/** @param {State} state @param {News} news @returns {State} */
const enter = (state, { expiresAt, idleEndsAt, mayRunOut }) => ({
  ...state,
  stage: "choose",
  choosing: true,
  turnEndsAt: expiresAt ?? null,
  idleEndsAt: idleEndsAt ?? null,
  crowded: mayRunOut === true,
});

/** @param {State} state @param {News} news @returns {State} */
function wait(state, news) {
  const { position } = news;
  if (typeof position !== "number") return { ...state, stage: "waiting", place: news, fall: null };
  const number = lowest(state.said, state.place?.position ?? position, position);
  return {
    ...state,
    stage: "waiting",
    ...advance(state, number),
    place: { ...news, position: number },
    said: position,
    fall: fallOf(news),
  };
}

/** @param {State} state @param {number | null | undefined} position */
function advance(state, position) {
  if (typeof position !== "number") return {};
  const firstPosition = Math.max(state.firstPosition, position);
  const come = firstPosition > 1 ? (1 - (position - 1) / firstPosition) * 1000 : 500;
  return { firstPosition, progress: Math.max(state.progress, come) };
}

/** @param {State} state @returns {State} */
const withoutPlace = (state) => ({ ...state, token: null, pass: "", firstPosition: 0, progress: 0, said: 0 });

/** The state, and everybody who shows it. */
export class Store {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    /** @type {((state: State, before: State) => void)[]} */
    this.listeners = [];
    /** @type {Action[]} */
    this.actions = [];
    this.dispatching = false;
  }

  /** Change the state and show it. What a listener dispatches comes after all listeners have shown this. @param {Action} action */
  dispatch(action) {
    this.actions.push(action);
    if (this.dispatching) return;
    this.dispatching = true;
    try {
      for (let next = this.actions.shift(); next; next = this.actions.shift()) {
        const before = this.state;
        this.state = reduce(before, next);
        for (const show of this.listeners) show(this.state, before);
      }
    } finally {
      this.dispatching = false;
    }
  }

  /** The headers by which the server knows the fan's place. @returns {Record<string, string>} */
  get headers() {
    const { token, pass } = this.state;
    return { ...(token ? { "X-Place-Token": token } : {}), ...(pass ? { "X-Admission-Pass": pass } : {}) };
  }
}
