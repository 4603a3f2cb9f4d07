/** The rows of one topic as a Map, for scripts: what `realtime.subscribe` keeps. */

/** @import { Change, Changes, ErrorMessage, Format, Row, Snapshot } from "../protocol/messages.js" */
/** @import { Received } from "./topic.js" */
/** @import { Viewers } from "./viewers.js" */

import { isFinal } from "../protocol/codes.js";
import { combine } from "../protocol/digest.js";
import { compareRows } from "../protocol/order.js";
import { runHandler } from "./handlers.js";

// As long as a call may take: a change that the server has not confirmed by then is undone.
const ASSUMED_MS = 10_000;
const LAST = "\uffff";

/**
 * @template [R=any] - the type of the rows' fields
 * @typedef {object} Handlers - functions that a subscription calls
 * @property {(row: Row<R>) => void} [onInsert] - for each new row, those of the first snapshot included
 * @property {(row: Row<R>, old: Row<R>) => void} [onUpdate] - for each row that has changed
 * @property {(old: Row<R>) => void} [onDelete] - for each row that is gone
 * @property {(rows: Map<string, Row<R>>) => void} [onChange] - once after each message that has changed anything, with all
 *   rows
 * @property {(rows: Row<R>[], message: Snapshot) => void} [onSnapshot] - with all rows, when a snapshot has replaced them
 * @property {(changes: Change[], message: Changes) => void} [onChanges] - with the changes of a message
 * @property {(message: ErrorMessage) => void} [onError] - when the topic is refused or cannot be read
 * @property {() => void} [onCorrected] - after a snapshot has corrected rows that were wrong
 * @property {(viewers: Viewers) => void} [onPresence] - of a feed with `presence`
 * @property {(message: Received) => void} [onBroadcast] - with a message of another subscriber
 */

/**
 * @template [R=any] - the type of the rows' fields
 * @typedef {Handlers<R> & {format?: Format, position?: string | null, rows?: Row<R>[]}} Options - what to follow, and from
 *   where on; rows: all of them, as of `position`
 */

export class RowMap {
  /** @type {Format} */
  format;
  /** @type {string | null} */
  position;
  /** @type {(() => void) | undefined} */
  onState;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** The fields of rows that a script shows until the server confirms them; null for a removed row. @type {Map<string, {fields: object | null}>} */
  #assumed = new Map();
  /** @type {Map<string, Row> | null} */
  #shown = null;
  /** False if it has only the rows that changed since the position it was given. */
  #isWhole = false;
  #handlers;
  #setTimeout;

  /** @param {Options} options @param {(action: () => void, ms: number) => unknown} setTimeout */
  constructor({ format = "rows", position = null, rows, ...handlers }, setTimeout) {
    this.format = format;
    this.position = position;
    this.#handlers = handlers;
    this.#setTimeout = setTimeout;
    if (!rows) return;
    this.#isWhole = true;
    this.#rows = new Map(rows.map((row) => [row.key, row]));
    // Later, when the caller has what `subscribe` returns.
    queueMicrotask(() => this.#report(new Map(), new Map(this.#rows)));
  }

  /**
   * In the topic's order; another Map after each change. If a position without rows was given: only those that changed since.
   * @returns {Map<string, Row>}
   */
  get rows() {
    if (this.#shown) return this.#shown;
    const rows = new Map(this.#rows);
    for (const [key, { fields }] of this.#assumed) {
      const row = rows.get(key) ?? { key, order: LAST, row: {} };
      if (fields === null) rows.delete(key);
      else rows.set(key, { ...row, row: { ...row.row, ...fields } });
    }
    this.#shown = new Map([...rows].sort(([, a], [, b]) => compareRows(a, b)));
    return this.#shown;
  }

  digest() {
    return this.#isWhole ? combine([...this.#rows.values()].map(({ digest }) => digest)) : null;
  }

  /**
   * Show fields of a row, or its removal (null), until the server changes the row, or ten seconds have passed.
   * @param {string} key
   * @param {object | null} fields
   * @returns {() => void} takes it back
   */
  assume(key, fields) {
    const assumption = { fields };
    this.#assumed.set(key, assumption);
    this.#changed();
    const undo = () => {
      if (this.#assumed.get(key) !== assumption) return;
      this.#assumed.delete(key);
      this.#changed();
    };
    this.#setTimeout(undo, ASSUMED_MS);
    return undo;
  }

  /** @param {Snapshot} message */
  onSnapshot(message) {
    const [before, digest] = [this.#rows, this.digest()];
    this.#rows = new Map(message.rows.map((row) => [row.key, row]));
    this.#assumed.clear();
    this.#isWhole = true;
    runHandler(() => this.#handlers.onSnapshot?.(message.rows, message));
    this.#report(before, this.#rows);
    return digest !== this.digest();
  }

  /** @param {Changes} message */
  onChanges(message) {
    const before = new Map();
    for (const change of message.changes) {
      const { op, ...row } = change;
      if (this.#rows.has(change.key)) before.set(change.key, this.#rows.get(change.key));
      this.#assumed.delete(change.key);
      if (change.op === "delete") this.#rows.delete(change.key);
      else this.#rows.set(row.key, /** @type {Row} */ (row));
    }
    const after = new Map();
    for (const { key } of message.changes) if (this.#rows.has(key)) after.set(key, this.#rows.get(key));
    this.#shown = null;
    runHandler(() => this.#handlers.onChanges?.(message.changes, message));
    this.#report(before, after);
  }

  /** @param {ErrorMessage} message */
  onError(message) {
    if (isFinal(message.code)) {
      const before = this.#rows;
      this.#rows = new Map();
      this.#assumed.clear();
      this.#report(before, this.#rows);
    }
    this.#handlers.onError?.(message);
  }

  onCorrected() {
    this.#handlers.onCorrected?.();
  }

  /** @param {Viewers} viewers */
  onPresence(viewers) {
    this.#handlers.onPresence?.(viewers);
  }

  /** @param {Received} message */
  onBroadcast(message) {
    this.#handlers.onBroadcast?.(message);
  }

  /** Call the handlers for what is different. @param {Map<string, Row>} before @param {Map<string, Row>} after */
  #report(before, after) {
    const { onInsert, onUpdate, onDelete } = this.#handlers;
    let hasChanged = false;
    for (const [key, old] of before) {
      if (after.has(key)) continue;
      hasChanged = true;
      runHandler(() => onDelete?.(old));
    }
    for (const [key, row] of after) {
      const old = before.get(key);
      if (old && isSame(old, row)) continue;
      hasChanged = true;
      runHandler(() => (old ? onUpdate?.(row, old) : onInsert?.(row)));
    }
    if (hasChanged) this.#changed();
  }

  #changed() {
    this.#shown = null;
    runHandler(() => this.#handlers.onChange?.(this.rows));
  }
}

/** The digest covers key, order and contents. @param {Row} a @param {Row} b */
function isSame(a, b) {
  return a.digest === undefined ? JSON.stringify(a) === JSON.stringify(b) : a.digest === b.digest;
}
