/**
 * Which row each of the other editors edits, as initials in that row. Editors tell each other by short messages that are not
 * stored and may be lost: so they are repeated, and forgotten when they are not repeated.
 */

import { make } from "./elements.js";
import { text } from "./texts.min.js";

const REPEAT_MS = 4_000;
const KNOWN_MS = 12_000;

export class OtherEditors {
  #realtime;
  #topic;
  #rowOf;
  #subscription;
  #timer;
  /** @type {string | null} */
  #own = null;
  /** By the connection of each. @type {Map<string, {name: string, row: string, until: number}>} */
  #others = new Map();

  /**
   * @param {any} realtime
   * @param {number} board
   * @param {(key: string) => HTMLElement | undefined} rowOf - an entry's row
   */
  constructor(realtime, board, rowOf) {
    this.#realtime = realtime;
    this.#topic = `editors.${board}`;
    this.#rowOf = rowOf;
    this.#subscription = realtime.subscribe(this.#topic, {
      format: "signal",
      position: null,
      onBroadcast: (/** @type {any} */ message) => this.#learn(message),
      // Editors who open the board later receive it, too.
      onPresence: () => this.#tell(),
    });
    this.#timer = setInterval(() => {
      this.#tell();
      this.show();
    }, REPEAT_MS);
  }

  /** @param {string | null} key - of the entry that is edited here; null for none */
  edits(key) {
    if (this.#own === key) return;
    this.#own = key;
    this.#send();
  }

  end() {
    this.edits(null);
    clearInterval(this.#timer);
    this.#subscription.unsubscribe();
    for (const { row } of this.#others.values()) this.#rowOf(row)?.querySelector(".edit-others")?.remove();
  }

  #tell() {
    if (this.#own !== null) this.#send();
  }

  #send() {
    this.#realtime.broadcast(this.#topic, "edits", { row: this.#own });
  }

  /** @param {{event: string, payload: any, name: string, sender: string}} message */
  #learn({ event, payload, name, sender }) {
    if (event !== "edits") return;
    const before = this.#others.get(sender);
    const row = payload?.row;
    if (typeof row === "string") this.#others.set(sender, { name, row, until: Date.now() + KNOWN_MS });
    else this.#others.delete(sender);
    if (before && before.row !== row) this.#mark(before.row);
    this.show();
  }

  /** Mark the rows that are edited, also those that were made anew; forget messages that were not repeated. */
  show() {
    for (const [sender, { row, until }] of this.#others) {
      if (until < Date.now()) this.#others.delete(sender);
      this.#mark(row);
    }
  }

  /** @param {string} key */
  #mark(key) {
    const cell = this.#rowOf(key)?.querySelector(".entry-label");
    if (!cell) return;
    const names = [
      ...new Set([...this.#others.values()].filter(({ row }) => row === key).map(({ name }) => name)),
    ].sort();
    const words = names.length > 0 ? text("{names}: editing this row", { names: names.join(", ") }) : "";
    let mark = /** @type {HTMLElement | null} */ (cell.querySelector(".edit-others"));
    if (words === (mark?.title ?? "")) return;
    mark?.remove();
    if (!words) return;
    mark = make(
      "span",
      { className: "edit-others", title: words, role: "img", "aria-label": words },
      ...names.map(initials),
    );
    cell.append(mark);
  }
}

/** @param {string} name @returns {string} its first letters: "AL" of Ada Lovelace */
export function initials(name) {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters =
    words.length > 1
      ? [words[0], words[words.length - 1]].map((word) => [...word][0])
      : [...(words[0] ?? "?")].slice(0, 2);
  return letters.join("").toUpperCase();
}
