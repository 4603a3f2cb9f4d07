/** What scripts and elements of a page use: one connection with its topics, calls and messages. */

/** @import { Format, Row, ServerMessage } from "./protocol/messages.js" */
/** @import { Options } from "./topics/row-map.js" */
/** @import { Follower } from "./topics/topic.js" */
/** @import { Status } from "./transports/connection.js" */
/** @import { Environment } from "./transports/transport.js" */

import { runHandler } from "./topics/handlers.js";
import { RowMap } from "./topics/row-map.js";
import { Subscriptions } from "./topics/subscriptions.js";
import { Calls } from "./transports/calls.js";
import { Connection } from "./transports/connection.js";

/**
 * What handlers receive, by the name passed to `on`.
 * @typedef {{[Type in ServerMessage["type"]]: Extract<ServerMessage, {type: Type}>} & {message: ServerMessage,
 *   status: Status}} Events
 */

/**
 * @example
 * realtime.on("message", console.log);
 * await realtime.call("echo", { text: "hi" });
 * const entries = realtime.subscribe("entries.7", { onChanges: (changes) => console.table(changes) });
 * entries.rows.get("12"); // {key, order, row: {…}}
 */
export class Realtime {
  #env;
  #calls;
  #connection;
  #subscriptions;
  /** @type {Map<string, Set<(value: any) => void>>} */
  #handlers = new Map();

  /** @param {Environment} env */
  constructor(env) {
    this.#env = env;
    this.#connection = new Connection(env, {
      onMessage: (message) => this.#receive(message),
      onStatus: (status) => this.#changeStatus(status),
      subscriptions: () => this.#subscriptions.list(),
    });
    this.#calls = new Calls(env, (message) => this.#connection.send(message));
    this.#subscriptions = new Subscriptions((message) => this.#connection.send(message));
  }

  /** Open the connection, and keep it open. */
  start() {
    this.#connection.start();
  }

  get url() {
    return this.#env.url;
  }

  /** @returns {Status} */
  get status() {
    return this.#connection.status;
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
   * @returns {Promise<unknown>} rejects with an Error that has `code`, `message` and, by form field, `fields`
   */
  call(action, args = {}) {
    return this.#calls.make(action, args);
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
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {(value: Events[Type]) => void} handler
   */
  off(type, handler) {
    this.#handlers.get(type)?.delete(handler);
  }

  /**
   * Follow a topic from a script.
   * @param {string} topic
   * @param {{format?: Format} & Options} options
   * @returns {{unsubscribe: () => void, readonly position: string | null, readonly rows: Map<string, Row>}}
   * @throws {Error} if the page follows the topic in the other format
   */
  subscribe(topic, { format = "rows", ...options } = {}) {
    const rowMap = new RowMap(options);
    this.follow(topic, format, rowMap);
    return {
      unsubscribe: () => this.unfollow(topic, rowMap),
      get position() {
        return rowMap.position;
      },
      get rows() {
        return rowMap.rows;
      },
    };
  }

  /** @param {string} topic @returns {string | null} the position of the topic's rows on this page */
  position(topic) {
    return this.#subscriptions.position(topic);
  }

  /**
   * For elements: like `subscribe`, with a follower of their own (topic.js).
   * @param {string} topic
   * @param {Format} format
   * @param {Follower} follower
   */
  follow(topic, format, follower) {
    this.#subscriptions.add(topic, format, follower);
  }

  /** @param {string} topic @param {Follower} follower */
  unfollow(topic, follower) {
    this.#subscriptions.delete(topic, follower);
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (message.type === "welcome") {
      this.#subscriptions.connected();
      this.#calls.connected(message);
    } else if (message.type === "reply") {
      this.#calls.reply(message);
    } else {
      runHandler(() => this.#subscriptions.receive(message));
    }
    this.#notify("message", message);
    this.#notify(message.type, message);
  }

  /** @param {Status} status */
  #changeStatus(status) {
    if (!this.#connection.isConnected) {
      this.#subscriptions.disconnected();
      this.#calls.disconnected(status);
    }
    this.#notify("status", status);
  }

  /** @param {keyof Events} type @param {ServerMessage | Status} value */
  #notify(type, value) {
    for (const handler of [...(this.#handlers.get(type) ?? [])]) runHandler(() => handler(value));
  }
}
