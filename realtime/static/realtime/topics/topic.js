/**
 * One topic of this connection, for all its followers on the page. Pure: it decides when to subscribe again.
 * The server keeps one subscription per topic and connection, so followers share it; each has its own position.
 */

/** @import { Broadcast, Change, Changes, Presence, ErrorMessage, Format, Row, Snapshot, Subscribe } from "../protocol/messages.js" */

/** @import { Viewers } from "./viewers.js" */

import { BAD_MESSAGE, isFinal } from "../protocol/codes.js";
import { combined, contentsOf } from "../protocol/formats.js";
import { payloadOf } from "../protocol/payload.js";
import { commonPosition, isBehind, parse, verdict } from "../protocol/position.js";
import { runHandler } from "./handlers.js";
import { viewersAfter } from "./viewers.js";

// A snapshot is requested at most this often because rows are wrong; less often each time that it did not help.
const PAUSE_MS = 10_000;
const MAX_PAUSE_MS = 300_000;

/**
 * @typedef {"loading" | "live" | "behind" | "stale" | "refused"} FollowerState - of the rows of
 *   one follower
 * @typedef {FollowerState | "misplaced"} TopicState - misplaced: where browsers allow no such element
 * @typedef {{state: TopicState, since: number | null, reason: string}} TopicStatus - since: when its rows were last known
 *   to be current, in milliseconds; null while it is live
 * @typedef {object} Follower - who shows the rows of a topic, such as an element or a subscription
 * @property {Format} format - what it needs; with "signal" it has no rows
 * @property {string | null} position - of the rows it holds; set here, after the follower has applied a message
 * @property {() => number | null} [digest] - of the rows it holds; null if it does not know
 * @property {(message: Snapshot) => boolean} onSnapshot - `message.rows` are all rows: replace; returns whether that
 *   changed any
 * @property {(message: Changes) => void} onChanges
 * @property {(message: ErrorMessage) => void} [onError] - with a final code the rows must not be shown any longer
 * @property {() => void} [onCorrected] - the snapshot just applied has corrected rows that were wrong
 * @property {(viewers: Viewers) => void} [onPresence]
 * @property {(message: Received) => void} [onBroadcast]
 * @property {(state: FollowerState) => void} [onState]
 * @property {FollowerState} [state] - the last one passed to `onState`
 *
 * @typedef {{topic: string, event: string, payload: unknown, sender: string, name: string}} Received - a broadcast; sender
 *   identifies the connection that sent it, name is that of its user, empty if it has none
 *
 * @typedef {object} Circumstances - of the page, for the states of its topics
 * @property {boolean} isConnected
 * @property {boolean} isBehind - the server has not sequenced all changes
 * @property {boolean} isLate - the page has waited for the server for too long to look current
 *
 * @typedef {object} Times - all in milliseconds
 * @property {() => number} now
 * @property {() => number} asOf - the time as of which the server's messages are current
 */

export class Topic {
  /** @type {Set<Follower>} */
  followers = new Set();
  /** The format that all followers need; it grows with them. @type {Format | ""} */
  format = "";
  isRefused = false;
  /** Rows could not be shown, not even those of a fresh snapshot. */
  isBroken = false;
  /** Why the server does not serve the topic at the moment; empty if it does. */
  reason = "";
  /** When the rows were last known to be current. @type {number | null} */
  currentAt = null;
  /** The viewers of the topic, as of the server's last message. @type {Viewers | null} */
  viewers = null;
  #times;
  #addedAt;
  #isAnswered = false;
  #isAsking = false;
  #heartbeatsMissed = 0;
  /** The rows are wrong: they differ from the server's, or could not be shown. */
  #needsSnapshot = false;
  #hasFailed = false;
  #mayRetry = false;
  #notBefore = 0;
  #pauseMs = PAUSE_MS;
  /** @type {{position: string, rows: Map<string, Row>, isGrowing: boolean} | null} */
  #parts = null;

  /**
   * @param {string} name
   * @param {Times} times
   * @param {number} addedAt - when the rows that it begins with were read
   */
  constructor(name, times, addedAt) {
    this.name = name;
    this.#times = times;
    this.#addedAt = addedAt;
  }

  /** @param {Follower} follower @returns {boolean} whether to subscribe for it */
  add(follower) {
    const [before, asked, isFirst] = [this.format, this.resumesFrom, this.followers.size === 0];
    this.followers.add(follower);
    this.format = combined([before, follower.format]);
    // Rows with other contents have other digests.
    const hasOtherContents = contentsOf(before) !== "" && contentsOf(before) !== contentsOf(this.format);
    if (hasOtherContents) for (const each of this.followers) each.position = null;
    // The subscription under way also serves a new follower at the same position as the others.
    const isServed = this.format === before && this.resumesFrom === asked && follower.format !== "signal";
    return isFirst || this.isRefused || !isServed;
  }

  /** The position of all followers with rows; null if theirs differ, because then all need a snapshot. */
  get position() {
    const all = [...this.followers];
    const holders = all.filter(({ format }) => format !== "signal");
    return commonPosition((holders.length > 0 ? holders : all).map(({ position }) => position));
  }

  /** The position to subscribe from; null for a snapshot. */
  get resumesFrom() {
    return this.#needsSnapshot ? null : this.position;
  }

  /** Whether the server has answered the subscription, and the rows shown are those it sends. */
  get isInStep() {
    return this.#isAnswered && !this.#needsSnapshot && this.position !== null;
  }

  /** Whether to subscribe again after a while, because the server has refused the topic or could not read it. */
  get mayRetry() {
    return this.#mayRetry && !this.isInStep;
  }

  /** When the rows were last known to be current. */
  get since() {
    return this.currentAt ?? this.#addedAt;
  }

  /** Begin a subscription for the changes that the followers lack. @returns {Subscribe} the message to send */
  subscribe() {
    this.#heartbeatsMissed = 0;
    this.#isAnswered = false;
    this.#parts = null;
    if (this.#needsSnapshot) {
      this.#notBefore = this.#times.now() + this.#pauseMs;
      this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs);
    }
    const position = this.resumesFrom;
    const format = /** @type {Format} */ (this.format);
    return { type: "subscribe", topic: this.name, format, ...(position === null ? {} : { position }) };
  }

  /** The followers keep their rows; parts of a snapshot are dropped by the next subscription. */
  disconnected() {
    this.#isAnswered = this.#isAsking = this.#mayRetry = false;
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
    const isCorrection = this.#needsSnapshot;
    const hadFailed = this.#hasFailed;
    this.#parts = null;
    this.#needsSnapshot = this.#hasFailed = false;
    for (const follower of [...this.followers]) {
      let hasChanged = false;
      this.#advance(follower, whole, () => {
        hasChanged = follower.onSnapshot(whole);
      });
      if (isCorrection && hasChanged) runHandler(() => follower.onCorrected?.());
    }
    this.isBroken = this.#hasFailed && hadFailed;
    if (this.#hasFailed) return this.#mayAskForSnapshot();
    this.#answered();
    return false;
  }

  /** @param {Changes} message @returns {boolean} whether to subscribe again */
  changes(message) {
    if (!this.#hasOurFormat(message.changes)) return false;
    const verdicts = [...this.followers].map((follower) => {
      const isNew = follower.format === "signal" && follower.position === null;
      return { follower, what: isNew ? "apply" : verdict(follower.position, message) };
    });
    for (const { follower, what } of verdicts) {
      if (what === "apply") this.#advance(follower, message, () => follower.onChanges(message));
    }
    if (this.#needsSnapshot) return this.#mayAskForSnapshot();
    if (!verdicts.some(({ what }) => what === "gap")) {
      if (this.position !== null) this.#answered();
      return this.#isAnswered && this.#compare(message.position, message.digest);
    }
    // Messages sent before the server reads the subscription have the same gap: subscribe once.
    if (this.#isAsking) return false;
    this.#isAsking = true;
    return true;
  }

  /**
   * @param {string | undefined} position - which the server has brought this topic to
   * @param {number} [digest] - of the topic's rows at that position
   * @returns {boolean} whether to subscribe again
   */
  heartbeat(position, digest) {
    if (position === undefined) {
      // Refused for a temporary reason, not read, or known to lack something: the server does not vouch for the rows. Subscribe again, but
      // not while a slow snapshot may still arrive.
      this.#isAnswered = false;
      return !this.isRefused && ++this.#heartbeatsMissed >= 2;
    }
    this.#heartbeatsMissed = 0;
    if (this.#parts?.isGrowing) {
      this.#parts.isGrowing = false;
      return false;
    }
    if (this.#needsSnapshot) return this.#mayAskForSnapshot();
    if (isBehind(this.position, position)) {
      this.#isAsking = true;
      return true;
    }
    if (this.#compare(position, digest)) return true;
    if (!this.#needsSnapshot) this.#answered();
    return false;
  }

  /** @param {Presence} message */
  presence(message) {
    const viewers = viewersAfter(this.viewers, message);
    if (!viewers) return;
    this.viewers = viewers;
    for (const follower of [...this.followers]) runHandler(() => follower.onPresence?.(viewers));
  }

  /** @param {Broadcast} message */
  broadcast(message) {
    const { topic, event, sender = "", name = "" } = message;
    for (const follower of [...this.followers]) {
      runHandler(() => follower.onBroadcast?.({ topic, event, payload: payloadOf(message), sender, name }));
    }
  }

  /** @param {ErrorMessage} message @returns {boolean} whether to subscribe again */
  error(message) {
    this.isRefused = isFinal(message.code);
    if (this.isRefused) this.viewers = null;
    this.reason = message.message;
    this.#isAnswered = this.#isAsking = false;
    this.#mayRetry = message.code !== BAD_MESSAGE;
    this.#parts = null;
    if (this.isRefused) {
      // The followers drop their rows, so what follows begins with a snapshot.
      this.#needsSnapshot = this.#hasFailed = false;
      for (const follower of this.followers) follower.position = null;
    }
    for (const follower of [...this.followers]) runHandler(() => follower.onError?.(message));
    return false;
  }

  /** A message could not be handled. @param {{type: string}} message @returns {boolean} whether to subscribe again */
  failed({ type }) {
    this.isBroken = this.#hasFailed && type === "snapshot";
    this.#hasFailed = this.#needsSnapshot = true;
    return this.#mayAskForSnapshot();
  }

  /**
   * Call `onState` of the followers whose state has changed.
   * @param {Circumstances} circumstances
   * @returns {boolean} whether there were any
   */
  notify({ isConnected, isBehind, isLate }) {
    let hasChanged = false;
    for (const follower of [...this.followers]) {
      const wasShown = follower.state !== undefined && follower.state !== "loading" && follower.state !== "refused";
      const isOld = wasShown || this.#hasFailed || (isLate && follower.position !== null);
      const isLive = isConnected && this.#isAnswered && !this.#needsSnapshot && follower.position !== null;
      const state = this.isRefused ? "refused" : isLive ? (isBehind ? "behind" : "live") : isOld ? "stale" : "loading";
      if (state === follower.state) continue;
      follower.state = state;
      hasChanged = true;
      runHandler(() => follower.onState?.(state));
    }
    return hasChanged;
  }

  #answered() {
    this.#isAnswered = true;
    this.#heartbeatsMissed = 0;
    this.#isAsking = this.isRefused = this.isBroken = this.#mayRetry = false;
    this.reason = "";
    this.currentAt = Math.max(this.currentAt ?? 0, this.#times.asOf());
  }

  /**
   * Compare the followers' rows with the server's at the same position.
   * @param {string} position
   * @param {number | undefined} digest
   * @returns {boolean} whether to subscribe again
   */
  #compare(position, digest) {
    const mine = this.position;
    if (digest === undefined || mine === null || this.#needsSnapshot) return false;
    const [held, theirs] = [parse(mine), parse(position)];
    if (held.epoch !== theirs.epoch || held.offset !== theirs.offset) return false;
    const digests = [...this.followers].map((follower) => follower.digest?.() ?? null);
    if (digests.every((each) => each === null || each === digest >>> 0)) {
      this.#pauseMs = PAUSE_MS;
      return false;
    }
    console.warn(`realtime: the rows of ${this.name} at ${position} differ from the server's; taking a snapshot.`);
    this.#needsSnapshot = true;
    return this.#mayAskForSnapshot();
  }

  #mayAskForSnapshot() {
    return this.#times.now() >= this.#notBefore;
  }

  /** False for messages of an earlier subscription in another format. @param {(Row | Change)[]} rows */
  #hasOurFormat(rows) {
    const fields = contentsOf(this.format).split("+").filter(Boolean);
    const needed = fields.map((each) => (each === "rows" ? "row" : each));
    return rows.every((each) => ("op" in each && each.op === "delete") || needed.every((field) => field in each));
  }

  /**
   * Let a follower apply a message. If that fails, its rows may be those of no position at all: a snapshot is needed.
   * @param {Follower} follower
   * @param {{position: string}} message
   * @param {() => void} apply
   */
  #advance(follower, message, apply) {
    const before = follower.position;
    follower.position = message.position;
    try {
      apply();
    } catch (error) {
      console.error(
        `realtime: cannot show the rows of ${this.name}; they are stale until a snapshot can be shown:`,
        error,
      );
      follower.position = before;
      this.#hasFailed = this.#needsSnapshot = true;
    }
  }
}
