/**
 * One topic as this connection follows it, for every follower on the page. Pure: it says when to ask the server again.
 * The server keeps one subscription per topic and connection, so followers share it; each keeps its own position.
 */

import { isFinal } from "../protocol/codes.js";
import { guarded } from "./handlers.js";
import { isBehind, shared, verdict } from "../protocol/position.js";

/**
 * @typedef {object} Follower
 * @property {string | null} position - of the rows it holds; moved on here, after it has taken them
 * @property {(message: object) => void} onSnapshot - all rows in `message.rows`: replace
 * @property {(message: object) => void} onChanges
 * @property {(message: object) => void} [onError]
 * @property {(state: string) => void} [onState]
 * @property {string} [state] - last told: "loading", "live", "stale" or "refused"
 */

export class Topic {
  /** @type {Set<Follower>} */
  followers = new Set();
  isRefused = false;
  #isAnswered = false;
  #isAsking = false;
  #heartbeatsMissed = 0;
  /** @type {{position: string, rows: Map<string, object>, isGrowing: boolean} | null} */
  #parts = null;

  /** @param {string} name @param {"rows" | "html"} format */
  constructor(name, format) {
    this.name = name;
    this.format = format;
  }

  /**
   * From where the server has to go on: where all followers are. Null, where they differ: a snapshot, for all.
   */
  get position() {
    return shared([...this.followers].map((follower) => follower.position));
  }

  /** The message that asks for what the followers lack. */
  subscription() {
    this.#heartbeatsMissed = 0;
    this.#isAnswered = false;
    this.#parts = null;
    const position = this.position;
    return { type: "subscribe", topic: this.name, format: this.format, ...(position === null ? {} : { position }) };
  }

  /** What the followers hold stays; parts under way are forgotten by the next subscription. */
  disconnected() {
    this.#isAnswered = this.#isAsking = false;
  }

  /** @returns {boolean} whether to subscribe again; the same for the methods below */
  snapshot(message) {
    if (!this.#isOurs(message.rows)) return false;
    if (this.#parts?.position !== message.position) this.#parts = { position: message.position, rows: new Map() };
    for (const row of message.rows) this.#parts.rows.set(row.key, row);
    this.#parts.isGrowing = true;
    if (message.more) return false;

    const whole = { ...message, rows: [...this.#parts.rows.values()] };
    this.#parts = null;
    this.#inStep();
    for (const follower of this.followers) this.#take(follower, whole, () => follower.onSnapshot(whole));
    return false;
  }

  changes(message) {
    if (!this.#isOurs(message.changes)) return false;
    const verdicts = [...this.followers].map((follower) => [follower, verdict(follower.position, message)]);
    for (const [follower, what] of verdicts) {
      if (what === "apply") this.#take(follower, message, () => follower.onChanges(message));
    }
    if (!verdicts.some(([, what]) => what === "gap")) {
      if (this.position !== null) this.#inStep();
      return false;
    }
    // What the server sent before it read our question shows the same gap again: one question is enough.
    if (this.#isAsking) return false;
    return (this.#isAsking = true);
  }

  /** @param {string | undefined} position - what the server has brought this topic to */
  heartbeat(position) {
    if (position === undefined) {
      // Refused for a passing reason, or never read: ask again, but leave a slow snapshot its time.
      return !this.isRefused && ++this.#heartbeatsMissed >= 2;
    }
    this.#heartbeatsMissed = 0;
    if (this.#parts?.isGrowing) return (this.#parts.isGrowing = false);
    if (isBehind(this.position, position)) return (this.#isAsking = true);
    this.#inStep();
    return false;
  }

  error(message) {
    this.isRefused = isFinal(message.code);
    this.#isAnswered = this.#isAsking = false;
    for (const follower of this.followers) guarded(() => follower.onError?.(message));
    return false;
  }

  /** Tell the followers whose state is another now. @param {boolean} isConnected */
  tell(isConnected) {
    for (const follower of this.followers) {
      const waiting = follower.state === "live" || follower.state === "stale" ? "stale" : "loading";
      const isLive = isConnected && this.#isAnswered && follower.position !== null;
      const state = this.isRefused ? "refused" : isLive ? "live" : waiting;
      if (state === follower.state) continue;
      follower.state = state;
      guarded(() => follower.onState?.(state));
    }
  }

  #inStep() {
    this.#isAnswered = true;
    this.#isAsking = this.isRefused = false;
  }

  /** A subscription in the other format, given up just now, may still be speaking. */
  #isOurs(rows) {
    const field = this.format === "html" ? "html" : "row";
    return rows.every((each) => each.op === "delete" || field in each);
  }

  /** A follower that fails keeps its position: it is behind then, and asks again at the next heartbeat. */
  #take(follower, message, take) {
    const before = follower.position;
    follower.position = message.position;
    if (!guarded(take)) follower.position = before;
  }
}
