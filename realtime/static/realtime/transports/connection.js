/**
 * This page's connection, kept open over one transport after another. It decides when to reconnect (docs/protocol.md,
 * "Close codes", "Reconnecting") and handles no topics.
 */

/** @import { ClientMessage, ServerMessage, Subscription } from "../protocol/messages.js" */
/** @import { TransportName } from "./fallback.js" */
/** @import { Ending, Environment, Handlers, Transport } from "./transport.js" */

import { isFinal, SIGNED_OUT } from "../protocol/codes.js";
import { delay } from "./backoff.js";
import { Fallback } from "./fallback.js";

const WAKE_MS = 300;

/**
 * @typedef {"connecting" | "live" | "reconnecting" | "offline" | "stopped"} State - of a connection
 * @typedef {{state: State, code: number | null, reason: string, willRetry: boolean, attempt: number,
 *   transport: TransportName | null}} Status - code null: no close code led here
 */

export class Connection {
  /** @type {Status} */
  status = { state: "connecting", code: null, reason: "", willRetry: true, attempt: 0, transport: null };
  /** Time of the last message, in the environment's milliseconds. @type {number | null} */
  receivedAt = null;
  #env;
  #onMessage;
  #onStatus;
  #subscriptions;
  #fallback;
  /** @type {Transport | null} */
  #transport = null;
  /** The best transport, being tried beside a worse one that works. @type {Transport | null} */
  #trial = null;
  /** @type {unknown} */
  #trialTimer;
  /** @type {unknown} */
  #timer;
  #attempt = 0;
  #notBefore = 0;
  #isPageChecked = false;
  #wasWelcome = false;
  // Counts decisions, so that an answer that arrives after the next one is ignored.
  #generation = 0;

  /**
   * @param {Environment} env
   * @param {{onMessage: (message: ServerMessage) => void, onStatus: (status: Status) => void,
   *   subscriptions: () => Subscription[]}} handlers
   */
  constructor(env, { onMessage, onStatus, subscriptions }) {
    this.#env = env;
    this.#subscriptions = subscriptions;
    this.#fallback = new Fallback(env, () => this.#connectForTab());
    this.#onMessage = onMessage;
    this.#onStatus = onStatus;
  }

  /** Whether messages can be sent and received. Can be true in the state "offline". */
  get isConnected() {
    return this.#transport?.isWelcome ?? false;
  }

  start() {
    const { target } = this.#env;
    target.addEventListener("online", () => this.#wake());
    target.addEventListener("offline", () => this.#wentOffline());
    target.addEventListener("visibilitychange", () => target.document.visibilityState === "visible" && this.#wake());
    // An open socket would keep the page out of the back/forward cache.
    target.addEventListener("pagehide", () => this.#leave());
    target.addEventListener("pageshow", (event) => "persisted" in event && event.persisted && this.#return());
    this.#open();
  }

  /** @param {ClientMessage} message @returns {boolean} whether it was sent */
  send(message) {
    return this.#transport?.send(message) ?? false;
  }

  #open() {
    this.#generation += 1;
    try {
      this.#transport = this.#fallback.open({
        onMessage: (message) => this.#receive(message),
        onEnd: (ending) => this.#ended(ending),
        subscriptions: this.#subscriptions,
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#report("stopped", { reason, willRetry: false });
    }
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    this.receivedAt = this.#env.now();
    if (message.type === "heartbeat") {
      // Not when it opens: to a server that accepts and then fails, the page would reconnect at once, forever.
      this.#attempt = 0;
      this.#isPageChecked = false;
    }
    if (message.type === "welcome") this.#welcomed();
    if (this.isConnected && this.status.state !== "live") this.#report("live");
    this.#onMessage(message);
  }

  #welcomed() {
    this.#wasWelcome = true;
    this.#fallback.succeeded();
    this.#env.clearTimeout(this.#trialTimer);
    if (this.#fallback.hasBetter) this.#tryBestLater();
  }

  #tryBestLater() {
    this.#env.clearTimeout(this.#trialTimer);
    this.#trialTimer = this.#env.setTimeout(() => this.#tryBest(), this.#fallback.nextTrialMs());
  }

  /** Try the best transport beside the one that works; switch to it when it receives the greeting. */
  #tryBest() {
    if (this.#trial || !this.#fallback.hasBetter || !this.isConnected) return;
    /** @type {Handlers} */
    const handlers = {
      subscriptions: this.#subscriptions,
      onMessage: (message) => {
        if (this.#transport !== trial) this.#switchTo(trial);
        this.#receive(message);
      },
      onEnd: (ending) => {
        if (this.#transport === trial) {
          this.#ended(ending);
        } else {
          this.#trial = null;
          this.#tryBestLater();
        }
      },
    };
    const trial = this.#fallback.openBest(handlers);
    this.#trial = trial;
  }

  /** @param {Transport} trial */
  #switchTo(trial) {
    this.#transport?.close();
    this.#trial = null;
    this.#fallback.bestSucceeded();
    // For topics and calls, one connection has ended and another begins.
    this.#report("reconnecting", { reason: "switching to a better transport" });
    this.#transport = trial;
  }

  #dropTrial() {
    this.#env.clearTimeout(this.#trialTimer);
    this.#trial?.close();
    this.#trial = null;
  }

  /** @param {Ending} ending */
  async #ended({ code, reason, delayMs }) {
    const wasWelcome = this.#wasWelcome;
    this.#wasWelcome = false;
    this.#transport = null;
    this.#dropTrial();
    const generation = ++this.#generation;
    let mayRetry = !isFinal(code);
    if (code === SIGNED_OUT && !this.#isPageChecked) {
      this.#isPageChecked = true;
      this.#report("reconnecting", { code, reason });
      // If no answer arrives, reconnecting shows whether the server refuses the page or cannot be reached.
      mayRetry = await this.#env.checkPage().catch(() => true);
      if (generation !== this.#generation) return;
    }
    if (!mayRetry) {
      this.#report("stopped", { code, reason, willRetry: false });
      return;
    }
    this.#notBefore = this.#env.now() + delayMs;
    if (!wasWelcome && this.#fallback.failed()) {
      this.#schedule(delayMs);
    } else {
      this.#schedule(delayMs + delay(this.#attempt, this.#env.random));
      this.#attempt += 1;
    }
    this.#report("reconnecting", { code, reason });
  }

  /** @param {number} ms */
  #schedule(ms) {
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(() => this.#open(), ms);
  }

  /** Reconnect soon, or check the open connection: the network or the page is back. */
  #wake() {
    if (this.status.state === "stopped") return;
    if (this.#transport) {
      this.#transport.probe();
      this.#tryBest();
      return;
    }
    this.#generation += 1;
    // At once, but not before the time the server named, and not all pages at the same instant.
    this.#schedule(Math.max(0, this.#notBefore - this.#env.now()) + WAKE_MS * this.#env.random());
    this.#report("reconnecting", this.status);
  }

  /** Another tab asks for the connection, and there is none. @returns {boolean} whether one will be opened */
  #connectForTab() {
    if (this.#transport || this.status.state === "stopped") return false;
    this.#wake();
    return true;
  }

  /** The browser reports that it is offline. This may be wrong for this server, so probe it. */
  #wentOffline() {
    if (this.status.state === "stopped") return;
    this.#transport?.probe();
    this.#report("offline", this.status);
  }

  #leave() {
    this.#generation += 1;
    this.#env.clearTimeout(this.#timer);
    this.#dropTrial();
    this.#transport?.close();
    this.#transport = null;
    this.#fallback.leave();
    if (this.status.state !== "stopped") this.#report("reconnecting", { reason: "the page was left" });
  }

  /** From the back/forward cache: equivalent to loading the page, so a stopped page tries again too. */
  #return() {
    this.#notBefore = 0;
    this.#report("reconnecting");
    this.#wake();
  }

  /** @param {State} state @param {{code?: number | null, reason?: string, willRetry?: boolean}} cause */
  #report(state, { code = null, reason = "", willRetry = true } = {}) {
    const transport = this.isConnected ? this.#fallback.name : null;
    const isOffline = state === "reconnecting" && this.#env.target.navigator.onLine === false;
    this.status = { state: isOffline ? "offline" : state, code, reason, willRetry, attempt: this.#attempt, transport };
    this.#onStatus(this.status);
  }
}
