/**
 * Messages to the other viewers of a topic, which may be lost: nothing is sent while there is no WebSocket, and of messages
 * that follow each other too quickly the last one.
 */

/** @import { Broadcast, Welcome } from "../protocol/messages.js" */

import { bytesOf, contentsOf } from "../protocol/payload.js";

const PAUSE_MS = 100;

export class Broadcasts {
  #env;
  #send;
  #maxPayloadBytes = Infinity;
  #maxBytes = Infinity;
  /** The message to send after the pause, by topic and event. @type {Map<string, {next: Broadcast | null}>} */
  #pauses = new Map();

  /**
   * @param {{setTimeout: import("./transport.js").SetTimeout}} env
   * @param {(message: Broadcast) => boolean} send
   */
  constructor(env, send) {
    this.#env = env;
    this.#send = send;
  }

  /** @param {Welcome} welcome */
  connected({ max_broadcast_bytes: maxPayloadBytes, max_message_bytes: maxBytes }) {
    this.#maxPayloadBytes = maxPayloadBytes ?? Infinity;
    this.#maxBytes = maxBytes ?? Infinity;
  }

  /**
   * @param {string} topic
   * @param {string} event
   * @param {unknown} payload - a JSON value, an ArrayBuffer or a view of one
   * @throws {RangeError} if the server would not accept it
   */
  send(topic, event, payload) {
    /** @type {Broadcast} */
    const message = { type: "broadcast", topic, event, ...contentsOf(payload) };
    check(`The payload of the broadcast "${event}"`, bytesOf(message), this.#maxPayloadBytes);
    // The server closes a connection for a longer message.
    check(`The broadcast "${event}"`, new TextEncoder().encode(JSON.stringify(message)).length, this.#maxBytes);
    const key = JSON.stringify([topic, event]);
    const pause = this.#pauses.get(key);
    if (pause) pause.next = message;
    else this.#begin(key, message);
  }

  /** @param {string} key @param {Broadcast} message */
  #begin(key, message) {
    this.#send(message);
    /** @type {{next: Broadcast | null}} */
    const pause = { next: null };
    this.#pauses.set(key, pause);
    this.#env.setTimeout(() => {
      this.#pauses.delete(key);
      if (pause.next) this.#begin(key, pause.next);
    }, PAUSE_MS);
  }
}

/** @param {string} what @param {number} bytes @param {number} limit @throws {RangeError} if there are more */
function check(what, bytes, limit) {
  if (bytes > limit) throw new RangeError(`${what} has ${bytes} bytes; the server accepts ${limit}. Send less in one.`);
}
