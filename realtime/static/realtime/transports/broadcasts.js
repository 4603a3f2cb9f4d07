/**
 * Messages to the other viewers of a topic, which may be lost: nothing is sent while there is no WebSocket, and of messages
 * that follow each other too quickly the last one.
 */

/** @import { Broadcast, Welcome } from "../protocol/messages.js" */

const PAUSE_MS = 100;

export class Broadcasts {
  #env;
  #send;
  #maxBytes = Infinity;
  /** By topic and event: what is to be sent after the pause. @type {Map<string, {next: Broadcast | null}>} */
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
  connected({ max_message_bytes: maxBytes }) {
    this.#maxBytes = maxBytes ?? Infinity;
  }

  /**
   * @param {string} topic
   * @param {string} event
   * @param {unknown} payload - what JSON has, or an ArrayBuffer or a view of one
   * @throws {RangeError} if the server would not accept it
   */
  send(topic, event, payload) {
    /** @type {Broadcast} */
    const message = { type: "broadcast", topic, event, ...contents(payload) };
    const bytes = new TextEncoder().encode(JSON.stringify(message)).length;
    // The server closes a connection for a longer message.
    if (bytes > this.#maxBytes) {
      throw new RangeError(`The broadcast "${event}" has ${bytes} bytes; the server accepts ${this.#maxBytes}.`);
    }
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

/** @param {unknown} payload @returns {{data: string} | {payload: unknown}} */
function contents(payload) {
  const bytes = payload instanceof ArrayBuffer ? new Uint8Array(payload) : null;
  const view = ArrayBuffer.isView(payload)
    ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)
    : bytes;
  return view ? { data: btoa(Array.from(view, (byte) => String.fromCharCode(byte)).join("")) } : { payload };
}

/** What a received broadcast carries: its payload, or its binary data. @param {Broadcast} message @returns {unknown} */
export function payloadOf({ payload, data }) {
  return data === undefined ? payload : Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}
