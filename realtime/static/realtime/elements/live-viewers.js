/**
 * `<live-viewers topic="entries.7">3</live-viewers>`: the number of viewers of a topic whose feed has `presence`; with `show="names"`
 * their names. `{% live_viewers %}` renders it.
 *
 * Attributes: `state`, as of `<live-topic>`: style sheets may hide a number that is not current.
 * Events, bubbling: `realtime:presence` before it changes (detail: topic, viewers, names, joined, left; a listener that
 * calls `preventDefault` shows it itself).
 */

/** @import { Viewers } from "../topics/viewers.js" */
/** @import { Realtime, Subscription } from "../realtime.js" */

import { isFinal } from "../protocol/codes.js";
import { PageElement } from "./page-element.js";

export class LiveViewers extends PageElement {
  /** Set where the element is defined. @type {Realtime} */
  static realtime;
  /** @type {Subscription | null} */
  #subscription = null;

  connectedCallback() {
    const topic = this.getAttribute("topic");
    if (this.#subscription || !topic) return;
    this.#subscription = LiveViewers.realtime.subscribe(topic, {
      format: "signal",
      position: null,
      onPresence: (viewers) => this.#show(topic, viewers),
      onStatus: ({ state }) => this.setAttribute("state", state),
      onError: ({ code }) => isFinal(code) && this.#write(""),
    });
  }

  disconnectedCallback() {
    // An element that is moved is disconnected and connected again within one task.
    setTimeout(() => {
      if (this.isConnected) return;
      this.#subscription?.unsubscribe();
      this.#subscription = null;
    });
  }

  /** @param {string} topic @param {Viewers} viewers */
  #show(topic, viewers) {
    const options = { bubbles: true, cancelable: true, detail: { topic, ...viewers } };
    if (!this.dispatchEvent(new CustomEvent("realtime:presence", options))) return;
    this.#write(this.getAttribute("show") === "names" ? viewers.names.join(", ") : String(viewers.viewers));
  }

  /** @param {string} text */
  #write(text) {
    if (this.textContent !== text) this.replaceChildren(text);
  }
}
