/** A WebSocket: the only module of the client that opens one. */

/** @import { ClientMessage } from "../protocol/messages.js" */
/** @import { Environment, Handlers } from "./transport.js" */

import { Transport } from "./transport.js";

const SUBPROTOCOL = "realtime.v1.json";
const OPEN = 1;

export class Socket extends Transport {
  /** @type {WebSocket | null} */
  #socket = null;
  #received = 0;
  #unacknowledged = 0;
  /** Null: the server does not ask for acknowledgements. @type {number | null} */
  #acknowledgeBytes = null;

  /**
   * @param {Environment} env
   * @param {Handlers} handlers
   * @param {number} welcomeMs
   * @throws {DOMException} if the URL is invalid or the page may not connect to it
   */
  constructor(env, handlers, welcomeMs) {
    super(env, handlers, welcomeMs);
    try {
      this.#socket = new env.WebSocket(env.url, SUBPROTOCOL);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#socket.onmessage = (event) => this.#onText(event.data);
    this.#socket.onclose = (event) => this.ended(event.code, event.reason);
  }

  /** @override @param {ClientMessage} message */
  transmit(message) {
    if (this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** @override */
  disconnect() {
    this.#socket?.close(1000);
  }

  /**
   * Acknowledge at every heartbeat and after `acknowledge_bytes`: the server stops sending to a client that does not.
   * @param {string} text
   */
  #onText(text) {
    const message = this.receiveText(text);
    if (message === null) return;
    if (message.type === "welcome") this.#acknowledgeBytes = message.acknowledge_bytes ?? null;
    this.#received += 1;
    this.#unacknowledged += text.length;
    if (this.#acknowledgeBytes === null) return;
    if (message.type === "heartbeat" || this.#unacknowledged >= this.#acknowledgeBytes) {
      this.#unacknowledged = 0;
      this.send({ type: "ack", received: this.#received });
    }
  }
}
