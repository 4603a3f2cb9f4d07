/** Calls that wait for their reply; those made before the connection is open go out once it is. */

const TIMEOUT_MS = 10_000;
const BAD_MESSAGE = 4400;

/** A call that was refused (the server's code), or not answered (`code` null or the close code). */
export class CallError extends Error {
  /** @param {{code?: number | null, message: string, fields?: Record<string, string[]>}} error */
  constructor({ code = null, message, fields = {} }) {
    super(message);
    this.name = "CallError";
    this.code = code;
    this.fields = fields;
  }
}

export class Calls {
  #env;
  #send;
  #nextId = 1;
  #maxBytes = Infinity;
  /** @type {Map<number, {message: object, isSent: boolean, timer: unknown, resolve: Function, reject: Function}>} */
  #waiting = new Map();

  /**
   * @param {{setTimeout: Function, clearTimeout: Function}} env
   * @param {(message: object) => boolean} send - whether it went out
   */
  constructor(env, send) {
    this.#env = env;
    this.#send = send;
  }

  /** @param {string} action @param {object} args @returns {Promise<unknown>} the reply's `ok` */
  make(action, args) {
    return new Promise((resolve, reject) => {
      const message = { type: "call", id: this.#nextId++, action, args };
      const late = { message: `"${action}" was not answered within ${TIMEOUT_MS / 1000} s.` };
      const timer = this.#env.setTimeout(() => this.#fail(message.id, late), TIMEOUT_MS);
      this.#waiting.set(message.id, { message, isSent: false, timer, resolve, reject });
      this.#try(message.id);
    });
  }

  /** @param {{max_message_bytes: number}} welcome */
  connected({ max_message_bytes: maxBytes }) {
    this.#maxBytes = maxBytes ?? Infinity;
    // Those sent on an earlier connection have failed with it, so all that wait are new.
    for (const id of [...this.#waiting.keys()]) this.#try(id);
  }

  /** Whether the server ran what it was sent nobody knows; so it fails rather than going out twice. */
  disconnected({ code, reason, willRetry }) {
    for (const [id, { isSent }] of [...this.#waiting]) {
      if (isSent || !willRetry) this.#fail(id, { code, message: `The connection closed: ${reason}` });
    }
  }

  /** @param {{id: number, ok?: unknown, error?: object}} reply */
  reply({ id, ok, error }) {
    if (error) this.#fail(id, error);
    else this.#settle(id)?.resolve(ok);
  }

  #try(id) {
    const call = this.#waiting.get(id);
    // Longer ones cost the whole connection, again at every attempt.
    const bytes = new TextEncoder().encode(JSON.stringify(call.message)).length;
    if (bytes > this.#maxBytes) {
      this.#fail(id, { code: BAD_MESSAGE, message: `A message may be ${this.#maxBytes} bytes long, not ${bytes}.` });
      return;
    }
    call.isSent = this.#send(call.message);
  }

  #fail(id, error) {
    this.#settle(id)?.reject(new CallError(error));
  }

  #settle(id) {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#env.clearTimeout(call?.timer);
    return call;
  }
}
