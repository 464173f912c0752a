// @ts-check
// What the tabs of one browser tell each other.
import { below } from "./addresses.js";
import { newKey } from "./api.js";

/**
 * A message to the other tabs; each part of a page takes the ones that concern it.
 * @typedef {Record<string, any>} Message
 */

export class OtherTabs {
  /** @param {string} subject Tabs with the same subject hear each other. */
  constructor(subject) {
    this.subject = below("") + subject; // Another site on the same host is not heard.
    this.id = newKey();
    /** @type {Set<(message: Message) => void>} */
    this.listeners = new Set();
    /** Null where the browser has none: then this tab cannot know of others. @type {BroadcastChannel | null} */
    this.channel = "BroadcastChannel" in window ? new BroadcastChannel(`admitone:${this.subject}`) : null;
    this.channel?.addEventListener("message", ({ data }) => {
      for (const listener of [...this.listeners]) listener(data);
    });
  }

  /** @param {Message} message */
  post(message) {
    this.channel?.postMessage({ ...message, from: this.id });
  }
}
