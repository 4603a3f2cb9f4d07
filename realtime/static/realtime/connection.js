/**
 * The connection of this page, kept open over one socket after another.
 * It knows when to come back (docs/protocol.md, "Close codes", "Reconnecting") and nothing of topics.
 */

import { delay } from "./backoff.js";
import { SIGNED_OUT, isFinal } from "./codes.js";
import { Socket } from "./socket.js";

const WAKE_MS = 300;

/**
 * @typedef {{state: "connecting" | "live" | "reconnecting" | "offline" | "stopped", code: number | null,
 *   reason: string, willRetry: boolean, attempt: number}} Status - code null: no close code led here
 */

export class Connection {
  /** @type {Status} */
  status = { state: "connecting", code: null, reason: "", willRetry: true, attempt: 0 };
  /** When a message came last, in the environment's milliseconds. @type {number | null} */
  heardAt = null;
  #env;
  #onMessage;
  #onStatus;
  /** @type {Socket | null} */
  #socket = null;
  #timer;
  #attempt = 0;
  #notBefore = 0;
  #isPageChecked = false;
  // Counts what was decided, so that an answer that comes late can see that it is.
  #generation = 0;

  /**
   * @param {import("./socket.js").Environment} env
   * @param {{onMessage: (message: object) => void, onStatus: (status: Status) => void}} handlers
   */
  constructor(env, { onMessage, onStatus }) {
    this.#env = env;
    this.#onMessage = onMessage;
    this.#onStatus = onStatus;
  }

  /** Whether messages go both ways; the state "offline" alone does not deny it. */
  get isConnected() {
    return this.#socket?.isWelcome ?? false;
  }

  start() {
    const { target } = this.#env;
    target.addEventListener("online", () => this.#wake());
    target.addEventListener("offline", () => this.#doubt());
    target.addEventListener("visibilitychange", () => target.document.visibilityState === "visible" && this.#wake());
    // An open socket would keep the page out of the back/forward cache.
    target.addEventListener("pagehide", () => this.#leave());
    target.addEventListener("pageshow", (event) => event.persisted && this.#return());
    this.#open();
  }

  /** @param {object} message @returns {boolean} whether it went out */
  send(message) {
    return this.#socket?.send(message) ?? false;
  }

  #open() {
    this.#generation += 1;
    try {
      this.#socket = new Socket(this.#env, {
        onMessage: (message) => this.#receive(message),
        onEnd: (ending) => this.#ended(ending),
      });
    } catch (error) {
      this.#report("stopped", { reason: error.message, willRetry: false });
    }
  }

  #receive(message) {
    this.heardAt = this.#env.now();
    if (message.type === "heartbeat") {
      // Not on open: a server that accepts and dies would be asked again at once, forever.
      this.#attempt = 0;
      this.#isPageChecked = false;
    }
    if (this.isConnected && this.status.state !== "live") this.#report("live");
    this.#onMessage(message);
  }

  async #ended({ code, reason, delayMs }) {
    this.#socket = null;
    const generation = ++this.#generation;
    let mayRetry = !isFinal(code);
    if (code === SIGNED_OUT && !this.#isPageChecked) {
      this.#isPageChecked = true;
      this.#report("reconnecting", { code, reason });
      // No answer is no refusal: then coming back is how to find out.
      mayRetry = await this.#env.checkPage().catch(() => true);
      if (generation !== this.#generation) return;
    }
    if (!mayRetry) {
      this.#report("stopped", { code, reason, willRetry: false });
      return;
    }
    this.#notBefore = this.#env.now() + delayMs;
    this.#schedule(delayMs + delay(this.#attempt, this.#env.random));
    this.#attempt += 1;
    this.#report("reconnecting", { code, reason });
  }

  #schedule(ms) {
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(() => this.#open(), ms);
  }

  #wake() {
    if (this.status.state === "stopped") return;
    if (this.#socket) {
      this.#socket.probe();
      return;
    }
    this.#generation += 1;
    // At once, but not before the time the server named, and not all pages in one instant.
    this.#schedule(Math.max(0, this.#notBefore - this.#env.now()) + WAKE_MS * this.#env.random());
    this.#report("reconnecting", this.status);
  }

  /** The browser says that it is offline. It may be wrong about this server: ask. */
  #doubt() {
    if (this.status.state === "stopped") return;
    this.#socket?.probe();
    this.#report("offline", this.status);
  }

  #leave() {
    this.#generation += 1;
    this.#env.clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
    if (this.status.state !== "stopped") this.#report("reconnecting", { reason: "the page was left" });
  }

  /** From the back/forward cache: as good as loading the page, so even one that had stopped tries again. */
  #return() {
    this.#notBefore = 0;
    this.#report("reconnecting");
    this.#wake();
  }

  #report(state, { code = null, reason = "", willRetry = true } = {}) {
    const isOffline = state === "reconnecting" && this.#env.target.navigator.onLine === false;
    this.status = { state: isOffline ? "offline" : state, code, reason, willRetry, attempt: this.#attempt };
    this.#onStatus(this.status);
  }
}
