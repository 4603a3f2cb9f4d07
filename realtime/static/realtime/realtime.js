/** What scripts and elements of a page speak to: one connection, its topics, its calls, its messages. */

import { Calls } from "./transports/calls.js";
import { Connection } from "./transports/connection.js";
import { guarded } from "./topics/handlers.js";
import { RowMap } from "./topics/row-map.js";
import { Subscriptions } from "./topics/subscriptions.js";

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
  /** @type {Map<string, Set<Function>>} */
  #handlers = new Map();

  /** @param {import("./transports/transport.js").Environment} env */
  constructor(env) {
    this.#env = env;
    this.#connection = new Connection(env, {
      onMessage: (message) => this.#receive(message),
      onStatus: (status) => this.#changeStatus(status),
      wanted: () => this.#subscriptions.wanted(),
    });
    this.#calls = new Calls(env, (message) => this.#connection.send(message));
    this.#subscriptions = new Subscriptions((message) => this.#connection.send(message));
  }

  /** Open the connection; it stays open from then on. */
  start() {
    this.#connection.start();
  }

  get url() {
    return this.#env.url;
  }

  /** @returns {import("./transports/connection.js").Status} */
  get status() {
    return this.#connection.status;
  }

  /** @returns {number | null} seconds since the server was last heard */
  get silenceSeconds() {
    const { heardAt } = this.#connection;
    return heardAt === null ? null : (this.#env.now() - heardAt) / 1000;
  }

  /**
   * Run an action on the server. Waits for the connection, ten seconds in all.
   * @param {string} action
   * @param {object} args
   * @returns {Promise<unknown>} rejects with an Error that has `code`, `message` and, by form field, `fields`
   */
  call(action, args = {}) {
    return this.#calls.make(action, args);
  }

  /**
   * @param {string} type - of a message of the server, or "message" for every one, or "status"
   * @param {(message: object) => void} handler
   */
  on(type, handler) {
    if (!this.#handlers.has(type)) this.#handlers.set(type, new Set());
    this.#handlers.get(type).add(handler);
  }

  off(type, handler) {
    this.#handlers.get(type)?.delete(handler);
  }

  /**
   * Follow a topic from a script.
   * @param {string} topic
   * @param {{format?: "rows" | "html"} & ConstructorParameters<typeof RowMap>[0]} options
   * @returns {{unsubscribe: () => void, readonly position: string | null, readonly rows: Map<string, object>}}
   * @throws {Error} when the page follows the topic in the other format
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

  /** @param {string} topic @returns {string | null} the position of what this page holds of it */
  position(topic) {
    return this.#subscriptions.position(topic);
  }

  /** For elements: like `subscribe`, with a follower of their own (topic.js). */
  follow(topic, format, follower) {
    this.#subscriptions.add(topic, format, follower);
  }

  unfollow(topic, follower) {
    this.#subscriptions.delete(topic, follower);
  }

  #receive(message) {
    if (message.type === "welcome") {
      this.#subscriptions.connected();
      this.#calls.connected(message);
    } else if (message.type === "reply") {
      this.#calls.reply(message);
    } else {
      guarded(() => this.#subscriptions.receive(message));
    }
    this.#tell("message", message);
    this.#tell(message.type, message);
  }

  #changeStatus(status) {
    if (!this.#connection.isConnected) {
      this.#subscriptions.disconnected();
      this.#calls.disconnected(status);
    }
    this.#tell("status", status);
  }

  #tell(type, value) {
    for (const handler of [...(this.#handlers.get(type) ?? [])]) guarded(() => handler(value));
  }
}
