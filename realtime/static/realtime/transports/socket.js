/** A WebSocket: the page's early one (early.js), or one that it opens. */

/** @import { ClientMessage } from "../protocol/messages.js" */
/** @import { EarlySocket } from "./early.js" */
/** @import { Environment, Handlers } from "./transport.js" */

import { SUBPROTOCOL } from "./page.js";
import { Transport } from "./transport.js";

const OPEN = 1;

export class Socket extends Transport {
  /** @type {WebSocket | null} */
  #socket = null;
  #received = 0;
  #unacknowledged = 0;
  /** Null: the server does not ask for acknowledgements. @type {number | null} */
  #acknowledgeBytes = null;
  /** What the early connection follows, and the page has not asked for yet. @type {EarlySocket["sent"]} */
  #sentEarly = new Map();

  /**
   * @param {Environment} env
   * @param {Handlers} handlers
   * @param {number} welcomeMs
   * @throws {DOMException} if the URL is invalid or the page may not connect to it
   */
  constructor(env, handlers, welcomeMs) {
    super(env, handlers, welcomeMs);
    const early = env.takeEarly?.() ?? null;
    try {
      this.#socket = early?.socket ?? new env.WebSocket(env.url, SUBPROTOCOL);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#socket.onmessage = (event) => this.#onText(event.data);
    this.#socket.onclose = (event) => this.ended(event.code, event.reason);
    if (!early) return;
    this.#sentEarly = early.sent;
    // When the caller has this object, and before the next message.
    queueMicrotask(() => {
      for (const text of early.received) this.#onText(text);
    });
  }

  /** @override @param {ClientMessage} message */
  transmit(message) {
    if (this.#socket?.readyState !== OPEN) return false;
    if (!this.#isSentEarly(message)) this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** @override */
  disconnect() {
    this.#socket?.close(1000);
  }

  /** Whether the early connection's address stands for this message. @param {ClientMessage} message */
  #isSentEarly(message) {
    if (message.type !== "subscribe") return false;
    const early = this.#sentEarly.get(message.topic);
    this.#sentEarly.delete(message.topic);
    return early?.format === message.format && early.position === message.position;
  }

  /** The page has subscribed to its topics: it has left those that only the early connection follows. */
  #leaveOthers() {
    for (const topic of [...this.#sentEarly.keys()]) this.send({ type: "unsubscribe", topic });
    this.#sentEarly.clear();
  }

  /**
   * Acknowledge at every heartbeat and after `acknowledge_bytes`: the server stops sending to a client that does not.
   * @param {string} text
   */
  #onText(text) {
    const message = this.receiveText(text);
    if (message === null) return;
    if (message.type === "welcome") {
      this.#acknowledgeBytes = message.acknowledge_bytes ?? null;
      this.#leaveOthers();
    }
    this.#received += 1;
    this.#unacknowledged += text.length;
    if (this.#acknowledgeBytes === null) return;
    if (message.type === "heartbeat" || this.#unacknowledged >= this.#acknowledgeBytes) {
      this.#unacknowledged = 0;
      this.send({ type: "ack", received: this.#received });
    }
  }
}
