// @ts-check
// An alarm that can be seen, and heard where somebody switched its sound on: browsers play none before a touch.
import { $, setText } from "../dom.js";
import { count } from "../text.js";

/** @import { RoomAnswer } from "../../contract.d.ts" */

const STALLED_MS_MIN = 30_000;
const RING_MS = 4000;
const BACKLOG_MAX = 1000;

export class Alarm {
  constructor() {
    /** @type {AudioContext | null} */
    this.audio = null;
    this.rangAt = 0;
    this.letIn = -1;
    this.eventId = 0;
    this.movedAt = 0;
    const button = $("alarm-sound");
    button.addEventListener("click", () => {
      if (this.audio) {
        this.audio.close();
        this.audio = null;
      } else {
        this.audio = new AudioContext();
        this.ring(); // So that the operator knows how it sounds, and that the loudspeaker is on.
      }
      button.setAttribute("aria-pressed", String(Boolean(this.audio)));
      button.textContent = `Alarm sound: ${this.audio ? "on" : "off"}`;
    });
  }

  /** What is wrong with a room; nothing where it is well. @param {RoomAnswer} room @param {number} at ms @returns {string[]} */
  troubles(room, at) {
    if (room.eventId !== this.eventId || room.letIn !== this.letIn || !this.mayMove(room)) this.movedAt = at;
    this.eventId = room.eventId;
    this.letIn = room.letIn;
    const stalledMs = at - this.movedAt;
    const slowMs = (3 * 60_000) / Math.max(room.rateNowPerMinute, 0.1);
    return [
      room.faults ? `${count(room.faults)} errors in the last minute` : "",
      stalledMs > Math.max(STALLED_MS_MIN, slowMs) ? `nobody let in for ${count(Math.round(stalledMs / 1000))} s` : "",
      room.state === "rebuilding" ? "the room is not ready: places are being restored" : "",
      room.backlog >= BACKLOG_MAX ? `${count(room.backlog)} bookings waiting` : "",
    ].filter(Boolean);
  }

  /** Whether fans could be let in. @param {RoomAnswer} room */
  mayMove({ admitted, called, capacity, free, rateNowPerMinute, state, waiting }) {
    return state === "open" && waiting > 0 && rateNowPerMinute > 0 && called + admitted < capacity && free > 0;
  }

  /** @param {RoomAnswer | null} room null where no news arrives @param {number} at ms */
  show(room, at) {
    const words = room ? this.troubles(room, at).join(" · ") : "no news arrives from the server";
    setText($("alarm"), words && `Alarm: ${words}`);
    $("alarm").hidden = !words;
    if (words && this.audio && at - this.rangAt >= RING_MS) {
      this.rangAt = at;
      this.ring();
    }
  }

  ring() {
    const { audio } = this;
    if (!audio) return;
    for (const [begin, pitch] of [[0, 880], [0.25, 660], [0.5, 880]]) {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      volume.gain.value = 0.3;
      tone.frequency.value = pitch;
      tone.connect(volume).connect(audio.destination);
      tone.start(audio.currentTime + begin);
      tone.stop(audio.currentTime + begin + 0.2);
    }
  }
}
