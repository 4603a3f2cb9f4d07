/**
 * What every way to the server shares: greeting, silence, farewell. `socket.js`, `stream.js` and `poll.js` are the ways.
 * Whether to come back, and how, is connection.js's to say.
 */

import { describe } from "../protocol/codes.js";
import { Watch } from "./deadline.js";

const ANSWER_MS = 4_000;
const GRACE_MS = 2_000;

/**
 * @typedef {object} Environment - everything that is not the same twice; tests pass their own
 * @property {string} url - of the WebSocket
 * @property {{stream: string, topics: string, calls: string}} [paths] - of the other ways; left out: there are none
 * @property {typeof WebSocket} WebSocket
 * @property {typeof EventSource} [EventSource]
 * @property {typeof fetch} [fetch]
 * @property {{name: string, locks: LockManager, BroadcastChannel: typeof BroadcastChannel}} [tabs] - to share with; left
 *   out: this page has a connection of its own
 * @property {Storage} [storage] - remembers for the next page which way got through
 * @property {Function} setTimeout
 * @property {Function} clearTimeout
 * @property {() => number} now - milliseconds
 * @property {() => number} random - even over [0, 1)
 * @property {EventTarget & {document: Document, navigator: Navigator}} target - window, or what can stand for it
 * @property {() => Promise<boolean>} checkPage - whether the page may still be read over HTTP; rejects if unknown
 *
 * @typedef {{code: number | null, reason: string, delayMs: number}} Ending - code null: we gave it up ourselves
 * @typedef {{topic: string, format: "rows" | "html", position: string | null}} Wanted
 * @typedef {object} Handlers
 * @property {(message: object) => void} onMessage
 * @property {(ending: Ending) => void} onEnd - once, and not after `close`
 * @property {() => Wanted[]} wanted - what the page follows, and how far it has come
 */

export class Transport {
  #watch;
  #handlers;
  #silenceMs;
  #isWelcome = false;
  #isProbing = false;
  // What was given up may still speak; from here on it is not heard.
  #isOver = false;
  #bye = null;

  /** @param {Environment} env @param {Handlers} handlers @param {number} welcomeMs - how long the greeting may take */
  constructor(env, handlers, welcomeMs) {
    this.env = env;
    this.#handlers = handlers;
    this.#silenceMs = welcomeMs;
    this.#watch = new Watch(env, (lateMs) => this.#silent(lateMs));
    this.#watch.expect(welcomeMs);
  }

  /** Whether the server has greeted us, and messages can go out. */
  get isWelcome() {
    return this.#isWelcome && !this.#isOver;
  }

  get isOver() {
    return this.#isOver;
  }

  get wanted() {
    return this.#handlers.wanted();
  }

  /** @param {object} message @returns {boolean} whether it went out */
  send(message) {
    return this.isWelcome && this.transmit(message);
  }

  /** Is anyone there? Ends the transport when nothing comes in time. */
  probe() {
    this.#isProbing = true;
    this.send({ type: "ping" });
    this.#watch.expect(ANSWER_MS);
  }

  /** Leave without a word to `onEnd`; does not wait for the other side to agree. */
  close() {
    this.#isOver = true;
    this.#watch.stop();
    this.shut();
  }

  /** For the ways: take a message of the server. @param {object} message */
  heard(message) {
    if (this.#isOver) return;
    this.#isProbing = false;
    if (message.type === "welcome") {
      this.#isWelcome = true;
      this.#silenceMs = 2000 * message.heartbeat_seconds + GRACE_MS;
    }
    if (message.type === "bye") this.#bye = message;
    this.#watch.expect(this.#bye ? ANSWER_MS : this.#silenceMs);
    this.#handlers.onMessage(message);
  }

  /** For the ways: take a message as text. @returns {object | null} the message; null when it was not taken */
  heardText(text) {
    if (this.#isOver) return null;
    let message;
    try {
      message = JSON.parse(text);
      if (typeof message?.type !== "string") throw new TypeError("not a message: it has no type");
    } catch (error) {
      console.error("realtime: cannot read what the server sent:", error);
      this.giveUp("a message could not be read");
      return null;
    }
    this.heard(message);
    return message;
  }

  giveUp(reason) {
    this.close();
    this.#end(null, reason);
  }

  /** For the ways: it has ended. What `bye` announced stands, even if the close that follows is lost or says less. */
  ended(code, reason) {
    if (!this.#isOver) this.#end(code, reason);
  }

  #end(endCode, endReason) {
    this.#isOver = true;
    this.#watch.stop();
    const code = this.#bye?.code ?? endCode;
    const reason = this.#bye?.reason || endReason || describe(code).means;
    this.#handlers.onEnd({ code, reason, delayMs: 1000 * (this.#bye?.retry_after_seconds ?? 0) });
  }

  #silent(lateMs) {
    // A late timer says that this page slept, not that the server did: ask before giving up.
    const mayHaveSlept = lateMs > ANSWER_MS && this.#isWelcome && !this.#isProbing && !this.#bye;
    if (mayHaveSlept) this.probe();
    else this.giveUp("nothing heard from the server");
  }
}
