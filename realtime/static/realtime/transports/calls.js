/** Calls that wait for their reply; those made before the connection is open are sent once it is. */

/** @import { Call, Refusal, Reply, Welcome } from "../protocol/messages.js" */
/** @import { Status } from "./connection.js" */

import { BAD_MESSAGE } from "../protocol/codes.js";

const TIMEOUT_MS = 10_000;

/**
 * A call was refused by the server (`code` is the server's) or not answered (`code` is null or the close code).
 * `fields` has the messages of the action's form, by field.
 */
export class CallError extends Error {
  /** @param {Refusal} refusal */
  constructor({ code = null, message, fields = {} }) {
    super(message);
    this.name = "CallError";
    this.code = code;
    this.fields = fields;
  }
}

/**
 * @typedef {object} CallOptions - of one call
 * @property {number} [timeout] - in milliseconds, ten seconds by default
 * @property {() => (() => void) | void} [optimistic] - shows at once what the call will change; returns a function that
 *   takes it back, which is called if the call fails
 */

/**
 * @typedef {{message: Call, isSent: boolean, timer: unknown, resolve: (ok: unknown) => void,
 *   reject: (error: CallError) => void}} Waiting - a call without a reply
 */

export class Calls {
  #env;
  #send;
  #nextId = 1;
  #maxBytes = Infinity;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();

  /**
   * @param {{setTimeout: import("./transport.js").SetTimeout, clearTimeout: (timer: any) => void}} env
   * @param {(message: Call) => boolean} send - returns whether the message was sent
   */
  constructor(env, send) {
    this.#env = env;
    this.#send = send;
  }

  /**
   * @param {string} action
   * @param {object} args
   * @param {CallOptions} options
   * @returns {Promise<unknown>} the reply's `ok`; rejects with a CallError
   */
  make(action, args, { timeout = TIMEOUT_MS, optimistic } = {}) {
    const undo = optimistic?.();
    const answer = this.#answer(action, args, timeout);
    return answer.catch((error) => {
      undo?.();
      throw error;
    });
  }

  /** @param {string} action @param {object} args @param {number} timeout @returns {Promise<unknown>} */
  #answer(action, args, timeout) {
    return new Promise((resolve, reject) => {
      /** @type {Call} */
      const message = { type: "call", id: this.#nextId++, action, args };
      const late = { message: `"${action}" was not answered within ${timeout / 1000} s.` };
      const timer = this.#env.setTimeout(() => this.#fail(message.id, late), timeout);
      const call = { message, isSent: false, timer, resolve, reject };
      this.#waiting.set(message.id, call);
      this.#try(call);
    });
  }

  /** @param {Welcome} welcome */
  connected({ max_message_bytes: maxBytes }) {
    this.#maxBytes = maxBytes ?? Infinity;
    // Calls sent on an earlier connection failed when it closed, so all that wait are unsent.
    for (const call of [...this.#waiting.values()]) this.#try(call);
  }

  /**
   * Fail the calls that were sent: whether the server ran them is unknown, so they must not be sent again.
   * @param {Status} status
   */
  disconnected({ code, reason, willRetry }) {
    for (const [id, { isSent }] of [...this.#waiting]) {
      if (isSent || !willRetry) this.#fail(id, { code, message: `The connection closed: ${reason}` });
    }
  }

  /** @param {Reply} reply */
  reply({ id, ok, error }) {
    if (error) this.#fail(id, error);
    else this.#settle(id)?.resolve(ok);
  }

  /** @param {Waiting} call */
  #try(call) {
    const { message } = call;
    // The server closes a connection for a longer message, so a call that waits would close each one in turn.
    const bytes = new TextEncoder().encode(JSON.stringify(message)).length;
    if (bytes > this.#maxBytes) {
      const text = `The call of "${message.action}" has ${bytes} bytes; the server accepts ${this.#maxBytes}. Send less in one call.`;
      this.#fail(message.id, { code: BAD_MESSAGE, message: text });
      return;
    }
    call.isSent = this.#send(message);
  }

  /** @param {number} id @param {Refusal} error */
  #fail(id, error) {
    this.#settle(id)?.reject(new CallError(error));
  }

  /** @param {number} id */
  #settle(id) {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#env.clearTimeout(call?.timer);
    return call;
  }
}
