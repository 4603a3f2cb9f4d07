/** The rows of one topic as a Map, for scripts: what `realtime.subscribe` keeps. */

/** @import { Change, Changes, ErrorMessage, Format, Row, Snapshot } from "../protocol/messages.js" */

import { isFinal } from "../protocol/codes.js";
import { combine } from "../protocol/digest.js";
import { compareRows } from "../protocol/order.js";
import { runHandler } from "./handlers.js";

/**
 * @typedef {{format?: Format, position?: string | null, onSnapshot?: (rows: Row[], message: Snapshot) => void,
 *   onChanges?: (changes: Change[], message: Changes) => void, onError?: (message: ErrorMessage) => void,
 *   onCorrected?: () => void}} Options
 */

export class RowMap {
  /** @type {Format} */
  format;
  /** @type {string | null} */
  position;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #isSorted = true;
  /** False if it has only the rows that changed since the position it was given. */
  #isWhole = false;
  #handlers;

  /** @param {Options} options */
  constructor({ format = "rows", position = null, ...handlers }) {
    this.format = format;
    this.position = position;
    this.#handlers = handlers;
  }

  /** In the topic's order. If `position` was given: only the rows that changed since. @returns {Map<string, Row>} */
  get rows() {
    if (!this.#isSorted) this.#rows = new Map([...this.#rows].sort(([, a], [, b]) => compareRows(a, b)));
    this.#isSorted = true;
    return this.#rows;
  }

  digest() {
    return this.#isWhole ? combine([...this.#rows.values()].map(({ digest }) => digest)) : null;
  }

  /** @param {Snapshot} message */
  onSnapshot(message) {
    const before = this.digest();
    this.#rows = new Map(message.rows.map((row) => [row.key, row]));
    this.#isSorted = this.#isWhole = true;
    runHandler(() => this.#handlers.onSnapshot?.(message.rows, message));
    return before !== this.digest();
  }

  /** @param {Changes} message */
  onChanges(message) {
    for (const change of message.changes) {
      const { op, ...row } = change;
      if (change.op === "delete") this.#rows.delete(change.key);
      else this.#rows.set(row.key, /** @type {Row} */ (row));
    }
    this.#isSorted = false;
    runHandler(() => this.#handlers.onChanges?.(message.changes, message));
  }

  /** @param {ErrorMessage} message */
  onError(message) {
    if (isFinal(message.code)) this.#rows = new Map();
    this.#handlers.onError?.(message);
  }

  onCorrected() {
    this.#handlers.onCorrected?.();
  }
}
