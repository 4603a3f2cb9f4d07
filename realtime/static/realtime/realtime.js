/** The interface for scripts and elements of a page: one connection with its topics, calls and messages. */

/** @import { Row, ServerMessage } from "./protocol/messages.js" */
/** @import { Status } from "./status.js" */
/** @import { Options } from "./topics/row-map.js" */
/** @import { Follower, TopicState, TopicStatus } from "./topics/topic.js" */
/** @import { Viewers } from "./topics/viewers.js" */
/** @import { CallOptions } from "./transports/calls.js" */
/** @import { Status as ConnectionStatus } from "./transports/connection.js" */
/** @import { Environment } from "./transports/transport.js" */

import { isFinal } from "./protocol/codes.js";
import { Reload } from "./reload.js";
import { pageStatus } from "./status.js";
import { runHandler } from "./topics/handlers.js";
import { RowMap } from "./topics/row-map.js";
import { Subscriptions } from "./topics/subscriptions.js";
import { Broadcasts } from "./transports/broadcasts.js";
import { Calls } from "./transports/calls.js";
import { Connection } from "./transports/connection.js";

// A page that is not live this long after its load shows how old it is.
const LATE_MS = 5_000;

/**
 * @typedef {{[Type in ServerMessage["type"]]: Extract<ServerMessage, {type: Type}>} & {message: ServerMessage,
 *   status: Status}} Events - what handlers receive, by the name passed to `on`
 *
 * @typedef {{state: TopicState | "unsubscribed", since: number | null, reason: string}} SubscriptionStatus - whether the
 *   rows are current; since: when they last were, in milliseconds, null while they are
 *
 * @typedef {object} StatusHandler - for a subscription
 * @property {(status: SubscriptionStatus) => void} [onStatus] - called with each new status
 *
 * @typedef {object} PresenceHandlers - functions that are called when viewers come and leave
 * @property {(viewers: Viewers) => void} [onSync] - after each change
 * @property {(name: string) => void} [onJoin] - for each name that is new
 * @property {(name: string) => void} [onLeave] - for each name that is gone
 *
 * @typedef {object} Presence - the viewers of a topic
 * @property {string} topic
 * @property {number | null} viewers - how many connections follow it; null before the server has said it
 * @property {string[]} names - of those that have one
 * @property {() => void} unsubscribe - ends it
 */

/**
 * @template [R=any] - the type of the rows' fields
 * @typedef {Options<R> & StatusHandler} SubscribeOptions - what to follow, from where on, and the functions to call
 */

/**
 * @template [R=any] - the type of the rows' fields
 * @typedef {object} Subscription - the rows of a topic, kept current
 * @property {string} topic
 * @property {string | null} position - of the rows
 * @property {Map<string, Row<R>>} rows - in the topic's order; another Map after each change
 * @property {SubscriptionStatus} status
 * @property {(key: string, fields: Partial<R> | null) => () => void} assume - show fields of a row, or null for its removal,
 *   until the server changes it, for at most ten seconds; returns a function that takes it back
 * @property {() => void} unsubscribe - ends it
 */

/**
 * The connection of a page: `window.realtime`, and what `connect` returns.
 * @example
 * realtime.on("message", console.log);
 * await realtime.call("echo", { text: "hi" });
 * const entries = realtime.subscribe("entries.7", { onChanges: (changes) => console.table(changes) });
 * entries.rows.get("12"); // {key, order, row: {…}}
 */
export class Realtime {
  #env;
  #calls;
  #broadcasts;
  #connection;
  #subscriptions;
  #reload;
  #loadedAt;
  #isLate = false;
  /** @type {unknown} */
  #lateTimer = null;
  /** Elements whose rows cannot be live, whatever the server sends. @type {Map<object, TopicStatus & {topic: string}>} */
  #faults = new Map();
  /** @type {Status} */
  #status;
  /** @type {Map<string, Set<(value: any) => void>>} */
  #handlers = new Map();

  /** @internal @param {Environment} env */
  constructor(env) {
    this.#env = env;
    this.#loadedAt = env.loadedAt ?? env.now();
    this.#reload = new Reload(env, () => this.#subscriptions.isBroken);
    this.#connection = new Connection(env, {
      onMessage: (message) => this.#receive(message),
      onStatus: (status) => this.#changeStatus(status),
      subscriptions: () => this.#subscriptions.list(),
    });
    this.#calls = new Calls(env, (message) => this.#connection.send(message));
    this.#broadcasts = new Broadcasts(env, (message) => this.#connection.send(message));
    this.#subscriptions = new Subscriptions(env, {
      send: (message) => this.#connection.send(message),
      onChange: () => this.#update(),
      onBroken: () => this.#reload.plan(),
    });
    this.#status = this.#computeStatus();
  }

  /** Open the connection, and keep it open. @internal */
  start() {
    const { target } = this.#env;
    target.addEventListener("visibilitychange", () => {
      if (target.document.visibilityState === "visible") this.#subscriptions.shown();
    });
    this.#connection.start();
    this.#update();
  }

  /**
   * The worst state of the connection and the topics, since when the page is not current (milliseconds; null while it is,
   * and in the first seconds after its load), and the same for each topic.
   * @returns {Status}
   */
  get status() {
    return this.#status;
  }

  /** The time, in the same milliseconds as `status.since`. */
  get now() {
    return this.#env.now();
  }

  /** @returns {number | null} seconds since the last message of the server; null if there was none */
  get silenceSeconds() {
    const { receivedAt } = this.#connection;
    return receivedAt === null ? null : (this.#env.now() - receivedAt) / 1000;
  }

  /**
   * Run an action on the server. Waits for the connection; rejects if there is no answer within ten seconds.
   * @param {string} action
   * @param {object} args
   * @param {CallOptions} options - timeout in milliseconds; optimistic: shows at once what the call will change, and
   *   returns a function that takes it back, which is called if the call fails
   * @returns {Promise<unknown>} rejects with an Error that has `code`, `message` and, by form field, `fields`
   */
  call(action, args = {}, options = {}) {
    return this.#calls.make(action, args, options);
  }

  /**
   * Send a message to the other viewers of a topic that this page follows, if its feed allows that. It may be lost, and is
   * while there is no WebSocket; of those with one name that follow within 100 ms the last one is sent.
   * @param {string} topic
   * @param {string} event - its name, for receivers
   * @param {unknown} [payload] - a JSON value, an ArrayBuffer or a view of one
   * @throws {RangeError} if it is too long for the server
   */
  broadcast(topic, event, payload = null) {
    this.#broadcasts.send(topic, event, payload);
  }

  /**
   * Get the viewers of a topic, if its feed has `presence`: `onSync` after each change, `onJoin` and `onLeave` for each name.
   * @param {string} topic
   * @param {PresenceHandlers} handlers
   * @returns {Presence}
   */
  presence(topic, { onSync, onJoin, onLeave } = {}) {
    /** @type {Viewers | null} */
    let known = null;
    const { unsubscribe } = this.subscribe(topic, {
      format: "signal",
      position: null,
      onError: ({ code }) => {
        if (isFinal(code)) known = null;
      },
      onPresence: (viewers) => {
        known = viewers;
        for (const name of viewers.joined) runHandler(() => onJoin?.(name));
        for (const name of viewers.left) runHandler(() => onLeave?.(name));
        runHandler(() => onSync?.(viewers));
      },
    });
    return {
      topic,
      unsubscribe,
      get viewers() {
        return known?.viewers ?? null;
      },
      get names() {
        return known?.names ?? [];
      },
    };
  }

  /**
   * Call a handler with each message of one type, with every message, or with each new status.
   * @template {keyof Events} Type
   * @param {Type} type - a type of the server's messages, "message" for all of them, or "status"
   * @param {(value: Events[Type]) => void} handler
   */
  on(type, handler) {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
  }

  /**
   * Call a handler no longer.
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {(value: Events[Type]) => void} handler
   */
  off(type, handler) {
    this.#handlers.get(type)?.delete(handler);
  }

  /**
   * Follow a topic from a script. It begins with the rows that the page was rendered with, if it has them.
   * @template [R=any] - the type of the rows' fields
   * @param {string} topic
   * @param {SubscribeOptions<R>} options
   * @returns {Subscription<R>}
   */
  subscribe(topic, { onStatus, ...options } = {}) {
    const painted = options.position === undefined ? this.#env.painted?.(topic) : null;
    const rowMap = new RowMap({ ...painted, ...options }, this.#env.setTimeout);
    const status = () => this.#subscriptions.statusOf(topic, rowMap);
    if (onStatus) rowMap.onState = () => onStatus(status());
    this.follow(topic, rowMap);
    return {
      topic,
      unsubscribe: () => this.unfollow(topic, rowMap),
      assume: (key, fields) => rowMap.assume(key, fields),
      get position() {
        return rowMap.position;
      },
      get rows() {
        return rowMap.rows;
      },
      get status() {
        return status();
      },
    };
  }

  /**
   * For elements: like `subscribe`, with a follower of their own (topic.js).
   * @internal
   * @param {string} topic
   * @param {Follower} follower
   */
  follow(topic, follower) {
    // Rows that are there when the page begins are as old as the page.
    const addedAt = this.#connection.receivedAt === null ? this.#loadedAt : this.#env.now();
    this.#subscriptions.add(topic, follower, addedAt);
  }

  /** @internal @param {string} topic @param {Follower} follower */
  unfollow(topic, follower) {
    this.#subscriptions.delete(topic, follower);
  }

  /**
   * For elements: report that the rows of one cannot be live, or no longer report it.
   * @internal
   * @param {object} owner
   * @param {{topic: string, state: "misplaced" | "stale", reason: string} | null} fault
   */
  setFault(owner, fault) {
    if (fault) this.#faults.set(owner, { ...fault, since: this.#loadedAt });
    else this.#faults.delete(owner);
    this.#update();
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (message.type === "welcome") {
      this.#subscriptions.connected();
      this.#calls.connected(message);
      this.#broadcasts.connected(message);
    } else if (message.type === "reply") {
      this.#calls.reply(message);
    } else if (message.type === "bye") {
      if (message.reload) this.#reload.obey(1000 * (message.retry_after_seconds ?? 0));
    } else {
      if (message.type === "error" && message.topic === undefined) console.warn(`realtime: ${message.message}`);
      this.#receiveForTopics(message);
    }
    this.#notify("message", message);
    this.#notify(message.type, message);
  }

  /** @param {ServerMessage} message */
  #receiveForTopics(message) {
    try {
      this.#subscriptions.receive(message);
    } catch (error) {
      console.error(`realtime: cannot handle a message of type ${message.type}; taking a snapshot:`, error);
      this.#subscriptions.failed(message);
    }
  }

  /** @param {ConnectionStatus} status */
  #changeStatus(status) {
    if (!this.#connection.isConnected) {
      this.#subscriptions.disconnected();
      this.#calls.disconnected(status);
    }
    this.#status = this.#computeStatus();
    this.#watchLateness();
    this.#notify("status", this.#status);
  }

  /** Report the status if it has changed. */
  #update() {
    const before = JSON.stringify(this.#status);
    this.#status = this.#computeStatus();
    this.#watchLateness();
    if (JSON.stringify(this.#status) !== before) this.#notify("status", this.#status);
  }

  #computeStatus() {
    /** @type {Record<string, TopicStatus>} */
    const topics = this.#subscriptions.statuses();
    for (const { topic, ...fault } of this.#faults.values()) topics[topic] = fault;
    const lastCurrent = this.#subscriptions.since ?? this.#connection.receivedAt ?? this.#loadedAt;
    return pageStatus(this.#connection.status, topics, lastCurrent, this.#isLate);
  }

  /** While something is still to become live for the first time: it must not look current for long. */
  #watchLateness() {
    const { state, topics } = this.#status;
    if (state === "live") this.#setLate(false);
    const isWaiting = state === "connecting" || Object.values(topics).some((topic) => topic.state === "loading");
    if (isWaiting && this.#lateTimer === null && !this.#isLate) {
      this.#lateTimer = this.#env.setTimeout(() => this.#late(), LATE_MS);
    } else if (!isWaiting) {
      this.#env.clearTimeout(this.#lateTimer);
      this.#lateTimer = null;
    }
  }

  /** @param {boolean} isLate */
  #setLate(isLate) {
    if (this.#isLate === isLate) return;
    this.#isLate = isLate;
    this.#subscriptions.isLate = isLate;
  }

  #late() {
    this.#lateTimer = null;
    this.#setLate(true);
    this.#update();
  }

  /** @param {keyof Events} type @param {ServerMessage | Status} value */
  #notify(type, value) {
    for (const handler of [...(this.#handlers.get(type) ?? [])]) runHandler(() => handler(value));
  }
}
