/** The rows of one topic as a Map, for scripts: what `realtime.subscribe` keeps. */

import { guarded } from "./handlers.js";
import { inOrder } from "../protocol/order.js";

/** @typedef {{key: string, order: string, row?: object, html?: string}} Row */

export class RowMap {
  /** @type {string | null} */
  position;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #isSorted = true;
  #handlers;

  /**
   * @param {{position?: string | null, onSnapshot?: (rows: Row[], message: object) => void,
   *   onChanges?: (changes: object[], message: object) => void, onError?: (message: object) => void}} options
   */
  constructor({ position = null, ...handlers }) {
    this.position = position;
    this.#handlers = handlers;
  }

  /** In the topic's order. After a start from a given position: only what came since. @returns {Map<string, Row>} */
  get rows() {
    if (!this.#isSorted) this.#rows = new Map([...this.#rows].sort(([, a], [, b]) => inOrder(a, b)));
    this.#isSorted = true;
    return this.#rows;
  }

  onSnapshot(message) {
    this.#rows = new Map(message.rows.map((row) => [row.key, row]));
    this.#isSorted = true;
    guarded(() => this.#handlers.onSnapshot?.(message.rows, message));
  }

  onChanges(message) {
    for (const { op, ...row } of message.changes) {
      if (op === "delete") this.#rows.delete(row.key);
      else this.#rows.set(row.key, row);
    }
    this.#isSorted = false;
    guarded(() => this.#handlers.onChanges?.(message.changes, message));
  }

  onError(message) {
    this.#handlers.onError?.(message);
  }
}
