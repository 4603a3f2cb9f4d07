/**
 * The common base of all transports: the greeting, silence, and the end of a connection. The transports themselves are
 * in `socket.js`, `sse.js` and `polling.js`. Whether and when to reconnect is decided in `connection.js`.
 */

/** @import { EarlySocket } from "./early.js" */
/** @import { Bye, ClientMessage, Row, ServerMessage, Subscription } from "../protocol/messages.js" */

import { describe } from "../protocol/codes.js";
import { Deadline } from "./deadline.js";

const ANSWER_MS = 4_000;
const GRACE_MS = 2_000;

/**
 * @typedef {(action: () => void, ms: number) => unknown} SetTimeout
 *
 * @typedef {object} Environment - everything outside this package that differs between runs; tests pass their own
 * @property {string} url - of the WebSocket
 * @property {Paths} [paths] - URLs for the other transports; without them only WebSocket is used
 * @property {typeof WebSocket} WebSocket
 * @property {() => EarlySocket | null} [takeEarly] - an open connection to that URL, once, if the page has one
 * @property {typeof EventSource} [EventSource]
 * @property {typeof fetch} [fetch]
 * @property {TabsEnvironment} [tabs] - for sharing the connection; without it this page has a connection of its own
 * @property {Storage} [storage] - keeps for the next page which transport worked
 * @property {SetTimeout} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now - milliseconds
 * @property {() => number} random - uniform over [0, 1)
 * @property {Target} target - window, or a replacement
 * @property {number} [loadedAt] - when the page was loaded, as `now` counts
 * @property {() => void} [reload] - load the page again; without it, it is not
 * @property {(topic: string) => {position: string, rows: Row[]} | null} [painted] - rows that the page was rendered with
 * @property {() => Promise<boolean>} checkPage - whether the page may still be read over HTTP; rejects if unknown
 *
 * @typedef {{stream: string, topics: string, calls: string}} Paths
 * @typedef {EventTarget & {document: {visibilityState: string}, navigator: {onLine: boolean}}} Target
 * @typedef {{name: string, locks: LockManager, BroadcastChannel: typeof BroadcastChannel}} TabsEnvironment
 * @typedef {Environment & {paths: Paths, EventSource: typeof EventSource, fetch: typeof fetch}} HttpEnvironment
 *
 * @typedef {{code: number | null, reason: string, delayMs: number}} Ending - code null: this page ended it
 * @typedef {object} Handlers
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(ending: Ending) => void} onEnd - called once, and not after `close`
 * @property {() => Subscription[]} subscriptions - what the page follows
 */

export class Transport {
  #deadline;
  #handlers;
  #silenceMs;
  #isWelcome = false;
  #isProbing = false;
  // An abandoned connection may still deliver messages; from here on they are ignored.
  #isOver = false;
  /** @type {Bye | null} */
  #bye = null;

  /**
   * @param {Environment} env
   * @param {Handlers} handlers
   * @param {number} welcomeMs - time limit for the greeting
   */
  constructor(env, handlers, welcomeMs) {
    this.#handlers = handlers;
    this.#silenceMs = welcomeMs;
    this.#deadline = new Deadline(env, (lateMs) => this.#expired(lateMs));
    this.#deadline.set(welcomeMs);
  }

  /** Whether the server has sent `welcome`, and messages can be sent. */
  get isWelcome() {
    return this.#isWelcome && !this.#isOver;
  }

  get isOver() {
    return this.#isOver;
  }

  get subscriptions() {
    return this.#handlers.subscriptions();
  }

  /** @param {ClientMessage} message @returns {boolean} whether it was sent */
  send(message) {
    return this.isWelcome && this.transmit(message);
  }

  /** Ask the server for a heartbeat; end the transport if no answer arrives in time. */
  probe() {
    this.#isProbing = true;
    this.send({ type: "ping" });
    this.#deadline.set(ANSWER_MS);
  }

  /** End without calling `onEnd` and without waiting for the server. */
  close() {
    this.#isOver = true;
    this.#deadline.clear();
    this.disconnect();
  }

  /** Each transport's own: put a message on the wire. @param {ClientMessage} _message @returns {boolean} whether it was sent */
  transmit(_message) {
    throw new TypeError(`${this.constructor.name} must define transmit()`);
  }

  /** Each transport's own: end the underlying connection, if there is one. */
  disconnect() {
    throw new TypeError(`${this.constructor.name} must define disconnect()`);
  }

  /** Called by subclasses with each message of the server. @param {ServerMessage} message */
  receive(message) {
    if (this.#isOver) return;
    this.#isProbing = false;
    if (message.type === "welcome") {
      this.#isWelcome = true;
      this.#silenceMs = 2000 * message.heartbeat_seconds + GRACE_MS;
    }
    if (message.type === "bye") this.#bye = message;
    this.#deadline.set(this.#bye ? ANSWER_MS : this.#silenceMs);
    try {
      this.#handlers.onMessage(message);
    } catch (error) {
      // A message that was handled in part leaves an unknown state; a new connection begins with a known one.
      console.error("realtime: cannot handle a message from the server; reconnecting:", error);
      if (!this.#isOver) this.giveUp("a message could not be handled");
    }
  }

  /**
   * Called by subclasses with each message as text.
   * @param {string} text
   * @returns {ServerMessage | null} the message; null if it was ignored or unreadable
   */
  receiveText(text) {
    if (this.#isOver) return null;
    let message;
    try {
      message = JSON.parse(text);
      if (typeof message?.type !== "string") throw new TypeError("not a message: it has no type");
    } catch (error) {
      console.error(
        "realtime: cannot read a message from the server; reconnecting. Check what answers at this URL:",
        error,
      );
      this.giveUp("a message could not be read");
      return null;
    }
    this.receive(message);
    return message;
  }

  /** Close, and report it with `onEnd`. @param {string} reason */
  giveUp(reason) {
    this.close();
    this.#end(null, reason);
  }

  /**
   * Called by subclasses when the connection has ended. The code and reason of a `bye` take precedence, even if the
   * close that follows is lost or has another code.
   * @param {number | null} code
   * @param {string} reason
   */
  ended(code, reason) {
    if (!this.#isOver) this.#end(code, reason);
  }

  /** @param {number | null} endCode @param {string} endReason */
  #end(endCode, endReason) {
    this.#isOver = true;
    this.#deadline.clear();
    const code = this.#bye?.code ?? endCode;
    const reason = this.#bye?.reason || endReason || describe(code).means;
    this.#handlers.onEnd({ code, reason, delayMs: 1000 * (this.#bye?.retry_after_seconds ?? 0) });
  }

  /** @param {number} lateMs */
  #expired(lateMs) {
    // A late timer means that this page was suspended, not that the server was silent: probe before giving up.
    const wasSuspended = lateMs > ANSWER_MS && this.#isWelcome && !this.#isProbing && !this.#bye;
    if (wasSuspended) this.probe();
    else this.giveUp("no message from the server");
  }
}
