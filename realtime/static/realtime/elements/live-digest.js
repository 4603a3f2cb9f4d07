/**
 * `<live-digest>`: announces to screen readers how many rows of the page have changed, and shows nothing. It never interrupts and
 * collects: the first changes for five seconds, those that follow for longer and longer, up to a minute.
 */

import { text } from "../texts.js";
import { PageElement } from "./page-element.js";

const FIRST_MS = 5_000;
const MOST_MS = 60_000;

export class LiveDigest extends PageElement {
  /** The rows that have changed, each with its topic. @type {Set<string>} */
  #changed = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #pauseMs = FIRST_MS;

  connectedCallback() {
    this.setAttribute("role", "status");
    document.addEventListener("realtime:changes", this.#note);
  }

  disconnectedCallback() {
    document.removeEventListener("realtime:changes", this.#note);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {Event} event */
  #note = (event) => {
    const { target, detail } = /** @type {CustomEvent} */ (event);
    // Hidden rows are not counted; elements that announce themselves are not announced twice.
    if (target instanceof Element && target.closest("[hidden], [role=status], [role=alert], [aria-live]")) return;
    for (const { key } of detail.changes) this.#changed.add(`${detail.topic} ${key}`);
    this.#timer ??= setTimeout(this.#say, this.#pauseMs);
  };

  #say = () => {
    const count = this.#changed.size;
    this.#timer = undefined;
    this.#pauseMs = count === 0 ? FIRST_MS : Math.min(2 * this.#pauseMs, MOST_MS);
    if (count === 0) return;
    this.#changed.clear();
    const words = count === 1 ? text("1 row changed") : text("{count} rows changed", { count });
    // A new node: the same words again are news, too.
    this.replaceChildren(words);
    this.#timer = setTimeout(this.#say, this.#pauseMs);
  };
}
