// @ts-check
// What a steward hears and feels of a scan: one high tone is good, two low ones are not.

const TONE_SECONDS = 0.18;
const GAIN = 0.3;
/** @type {Record<string, {pitches: number[], vibration: number[]}>} in Hz and ms */
const SIGNS = {
  admitted: { pitches: [1320], vibration: [80] },
  used: { pitches: [330, 220], vibration: [300, 100, 300] },
  refused: { pitches: [330, 220], vibration: [300, 100, 300] },
};

export class Feedback {
  /** @type {AudioContext | null} */
  audio = null;

  /** Browsers let a page sound only after a touch of it: call this in one. */
  allow() {
    if (!("AudioContext" in window)) return;
    this.audio ??= new AudioContext();
    this.audio.resume().catch(() => {});
  }

  /** @param {"admitted" | "used" | "refused"} result */
  give(result) {
    const { pitches, vibration } = SIGNS[result];
    navigator.vibrate?.(vibration);
    const { audio } = this;
    if (!audio) return;
    pitches.forEach((pitch, i) => {
      const start = audio.currentTime + i * TONE_SECONDS * 1.2;
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      tone.type = "square";
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(GAIN, start);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + TONE_SECONDS);
      tone.connect(gain).connect(audio.destination);
      tone.start(start);
      tone.stop(start + TONE_SECONDS);
    });
  }
}
