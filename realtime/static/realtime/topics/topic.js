/**
 * One topic of this connection, for all its followers on the page. Pure: it decides when to subscribe again.
 * The server keeps one subscription per topic and connection, so followers share it; each has its own position.
 */

/** @import { Change, Changes, ErrorMessage, Format, Row, Snapshot, Subscribe } from "../protocol/messages.js" */

import { isFinal } from "../protocol/codes.js";
import { commonPosition, isBehind, verdict } from "../protocol/position.js";
import { runHandler } from "./handlers.js";

/**
 * @typedef {"loading" | "live" | "stale" | "refused"} FollowerState
 * @typedef {object} Follower
 * @property {string | null} position - of the rows it holds; set here, after the follower has applied a message
 * @property {(message: Snapshot) => void} onSnapshot - `message.rows` are all rows: replace
 * @property {(message: Changes) => void} onChanges
 * @property {(message: ErrorMessage) => void} [onError]
 * @property {(state: FollowerState) => void} [onState]
 * @property {FollowerState} [state] - the last one passed to `onState`
 */

export class Topic {
  /** @type {Set<Follower>} */
  followers = new Set();
  isRefused = false;
  #isAnswered = false;
  #isAsking = false;
  #heartbeatsMissed = 0;
  /** @type {{position: string, rows: Map<string, Row>, isGrowing: boolean} | null} */
  #parts = null;

  /** @param {string} name @param {Format} format */
  constructor(name, format) {
    this.name = name;
    this.format = format;
  }

  /** The position of all followers; null if theirs differ, because then all need a snapshot. */
  get position() {
    return commonPosition([...this.followers].map((follower) => follower.position));
  }

  /** Begin a subscription for what the followers lack. @returns {Subscribe} the message to send */
  subscribe() {
    this.#heartbeatsMissed = 0;
    this.#isAnswered = false;
    this.#parts = null;
    const position = this.position;
    return { type: "subscribe", topic: this.name, format: this.format, ...(position === null ? {} : { position }) };
  }

  /** The followers keep their rows; parts of a snapshot are dropped by the next subscription. */
  disconnected() {
    this.#isAnswered = this.#isAsking = false;
  }

  /** @param {Snapshot} message @returns {boolean} whether to subscribe again */
  snapshot(message) {
    if (!this.#hasOurFormat(message.rows)) return false;
    if (this.#parts?.position !== message.position) {
      this.#parts = { position: message.position, rows: new Map(), isGrowing: true };
    }
    for (const row of message.rows) this.#parts.rows.set(row.key, row);
    this.#parts.isGrowing = true;
    if (message.more) return false;

    const whole = { ...message, rows: [...this.#parts.rows.values()] };
    this.#parts = null;
    this.#inStep();
    for (const follower of this.followers) this.#advance(follower, whole, () => follower.onSnapshot(whole));
    return false;
  }

  /** @param {Changes} message @returns {boolean} whether to subscribe again */
  changes(message) {
    if (!this.#hasOurFormat(message.changes)) return false;
    const verdicts = [...this.followers].map((follower) => ({ follower, what: verdict(follower.position, message) }));
    for (const { follower, what } of verdicts) {
      if (what === "apply") this.#advance(follower, message, () => follower.onChanges(message));
    }
    if (!verdicts.some(({ what }) => what === "gap")) {
      if (this.position !== null) this.#inStep();
      return false;
    }
    // Messages sent before the server reads the subscription have the same gap: subscribe once.
    if (this.#isAsking) return false;
    this.#isAsking = true;
    return true;
  }

  /**
   * @param {string | undefined} position - which the server has brought this topic to
   * @returns {boolean} whether to subscribe again
   */
  heartbeat(position) {
    if (position === undefined) {
      // Refused for a temporary reason or not read: subscribe again, but not while a slow snapshot may still arrive.
      return !this.isRefused && ++this.#heartbeatsMissed >= 2;
    }
    this.#heartbeatsMissed = 0;
    if (this.#parts?.isGrowing) {
      this.#parts.isGrowing = false;
      return false;
    }
    if (isBehind(this.position, position)) {
      this.#isAsking = true;
      return true;
    }
    this.#inStep();
    return false;
  }

  /** @param {ErrorMessage} message @returns {boolean} whether to subscribe again */
  error(message) {
    this.isRefused = isFinal(message.code);
    this.#isAnswered = this.#isAsking = false;
    for (const follower of this.followers) runHandler(() => follower.onError?.(message));
    return false;
  }

  /** Call `onState` of the followers whose state has changed. @param {boolean} isConnected */
  notify(isConnected) {
    for (const follower of this.followers) {
      const waiting = follower.state === "live" || follower.state === "stale" ? "stale" : "loading";
      const isLive = isConnected && this.#isAnswered && follower.position !== null;
      const state = this.isRefused ? "refused" : isLive ? "live" : waiting;
      if (state === follower.state) continue;
      follower.state = state;
      runHandler(() => follower.onState?.(state));
    }
  }

  #inStep() {
    this.#isAnswered = true;
    this.#isAsking = this.isRefused = false;
  }

  /** False for messages of an earlier subscription in the other format. @param {(Row | Change)[]} rows */
  #hasOurFormat(rows) {
    const field = this.format === "html" ? "html" : "row";
    return rows.every((each) => ("op" in each && each.op === "delete") || field in each);
  }

  /**
   * Let a follower apply a message. If it fails, it keeps its position: it is behind then, and the next heartbeat makes
   * the topic subscribe again.
   * @param {Follower} follower
   * @param {{position: string}} message
   * @param {() => void} apply
   */
  #advance(follower, message, apply) {
    const before = follower.position;
    follower.position = message.position;
    if (!runHandler(apply)) follower.position = before;
  }
}
