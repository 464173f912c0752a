// @ts-check
// Sound and a notification at the fan's turn, only where the fan asked for them.
import { $ } from "../dom.js";

/** @import { EventData } from "./state.js" */

const PITCHES = [660, 880, 1100];

export class Bell {
  /** @param {EventData} event */
  constructor(event) {
    this.event = event;
    this.on = false;
    /** @type {AudioContext | null} */
    this.audio = null;
    $("notify").hidden = !("AudioContext" in window);
    $("notify").addEventListener("click", () => this.toggle());
  }

  toggle() {
    this.on = !this.on;
    this.audio ??= new AudioContext();
    this.audio.resume();
    if (this.on && "Notification" in window && Notification.permission === "default") Notification.requestPermission();
    $("notify").setAttribute("aria-pressed", String(this.on));
    $("notify").textContent = this.on ? "Sound is on" : "Sound at my turn";
  }

  ring() {
    if (!this.on || !this.audio) return;
    const { audio } = this;
    PITCHES.forEach((pitch, i) => {
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
    if ("Notification" in window && Notification.permission === "granted" && document.hidden) {
      try {
        new Notification("It’s your turn", { body: this.event.name, tag: `admitone-${this.event.eventId}` });
      } catch {
        // Phones allow notifications only from a service worker; the sound has played.
      }
    }
  }
}
