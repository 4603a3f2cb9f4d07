/**
 * One WebSocket, from opening to its end: the only file of the client that touches WebSocket.
 * It reads and writes messages and notices silence; whether to come back is connection.js's to say.
 */

import { describe } from "./codes.js";
import { Watch } from "./watch.js";

const SUBPROTOCOL = "realtime.v1.json";
const OPEN = 1;
const WELCOME_MS = 15_000;
const ANSWER_MS = 4_000;
const GRACE_MS = 2_000;

/**
 * @typedef {object} Environment - everything that is not the same twice; tests pass their own
 * @property {string} url
 * @property {typeof WebSocket} WebSocket
 * @property {Function} setTimeout
 * @property {Function} clearTimeout
 * @property {() => number} now - milliseconds
 * @property {() => number} random - even over [0, 1)
 * @property {EventTarget & {document: Document, navigator: Navigator}} target - window, or what can stand for it
 * @property {() => Promise<boolean>} checkPage - whether the page may still be read over HTTP; rejects if unknown
 *
 * @typedef {{code: number | null, reason: string, delayMs: number}} Ending - code null: we gave it up ourselves
 */

export class Socket {
  #env;
  #onMessage;
  #onEnd;
  #socket;
  #watch;
  #silenceMs = WELCOME_MS;
  #isWelcome = false;
  #isProbing = false;
  // What was given up may still speak; from here on it is not heard.
  #isOver = false;
  #bye = null;

  /**
   * @param {Environment} env
   * @param {{onMessage: (message: object) => void, onEnd: (ending: Ending) => void}} handlers
   * @throws {DOMException} when the address is none, or the page may not connect to it
   */
  constructor(env, { onMessage, onEnd }) {
    this.#env = env;
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#watch = new Watch(env, (lateMs) => this.#silent(lateMs));
    this.#socket = new env.WebSocket(env.url, SUBPROTOCOL);
    this.#socket.onmessage = (event) => this.#isOver || this.#receive(event.data);
    this.#socket.onclose = (event) => this.#isOver || this.#end(event.code, event.reason);
    this.#watch.expect(WELCOME_MS);
  }

  /** Whether the server has greeted us, and messages can go out. */
  get isWelcome() {
    return this.#isWelcome && !this.#isOver;
  }

  /** @param {object} message @returns {boolean} whether it went out */
  send(message) {
    if (!this.isWelcome || this.#socket.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Is anyone there? Ends the socket when nothing comes in time. */
  probe() {
    this.#isProbing = true;
    this.send({ type: "ping" });
    this.#watch.expect(ANSWER_MS);
  }

  /** Leave without a word to `onEnd`; does not wait for the other side to agree. */
  close() {
    this.#isOver = true;
    this.#watch.stop();
    this.#socket.close(1000);
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
      if (typeof message?.type !== "string") throw new TypeError("not a message: it has no type");
    } catch (error) {
      console.error("realtime: cannot read what the server sent:", error);
      this.#giveUp("a message could not be read");
      return;
    }
    this.#isProbing = false;
    if (message.type === "welcome") {
      this.#isWelcome = true;
      this.#silenceMs = 2000 * message.heartbeat_seconds + GRACE_MS;
    }
    if (message.type === "bye") this.#bye = message;
    this.#watch.expect(this.#bye ? ANSWER_MS : this.#silenceMs);
    this.#onMessage(message);
  }

  #silent(lateMs) {
    // A late timer says that this page slept, not that the server did: ask before giving up.
    const mayHaveSlept = lateMs > ANSWER_MS && this.#isWelcome && !this.#isProbing && !this.#bye;
    if (mayHaveSlept) this.probe();
    else this.#giveUp("nothing heard from the server");
  }

  #giveUp(reason) {
    this.close();
    this.#end(null, reason);
  }

  /** What `bye` announced stands, even if the close that follows is lost or says less. */
  #end(socketCode, socketReason) {
    this.#isOver = true;
    this.#watch.stop();
    const code = this.#bye?.code ?? socketCode;
    const reason = this.#bye?.reason || socketReason || describe(code).means;
    this.#onEnd({ code, reason, delayMs: 1000 * (this.#bye?.retry_after_seconds ?? 0) });
  }
}
