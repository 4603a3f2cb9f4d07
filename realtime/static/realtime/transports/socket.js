/** A WebSocket: the only file of the client that touches one. */

import { Transport } from "./transport.js";

const SUBPROTOCOL = "realtime.v1.json";
const OPEN = 1;

export class Socket extends Transport {
  #socket;
  #received = 0;
  #unacknowledged = 0;
  /** @type {number | null} - null: the server does not ask for it */
  #acknowledgeBytes = null;

  /**
   * @param {import("./transport.js").Environment} env
   * @param {import("./transport.js").Handlers} handlers
   * @param {number} welcomeMs
   * @throws {DOMException} when the address is none, or the page may not connect to it
   */
  constructor(env, handlers, welcomeMs) {
    super(env, handlers, welcomeMs);
    try {
      this.#socket = new env.WebSocket(env.url, SUBPROTOCOL);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.ended(event.code, event.reason);
  }

  transmit(message) {
    if (this.#socket.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  shut() {
    this.#socket?.close(1000);
  }

  /** Say what has come, at every heartbeat and after so many bytes: a server that is not told sends no more. */
  #receive(text) {
    const message = this.heardText(text);
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
