/**
 * The connection of this page, kept open over one transport after another, by the best way that gets through.
 * It knows when to come back (docs/protocol.md, "Close codes", "Reconnecting") and nothing of topics.
 */

import { delay } from "./backoff.js";
import { SIGNED_OUT, isFinal } from "../protocol/codes.js";
import { Ways } from "./fallback.js";

const WAKE_MS = 300;

/**
 * @typedef {{state: "connecting" | "live" | "reconnecting" | "offline" | "stopped", code: number | null,
 *   reason: string, willRetry: boolean, attempt: number,
 *   transport: "websocket" | "sse" | "poll" | null}} Status - code null: no close code led here
 */

export class Connection {
  /** @type {Status} */
  status = { state: "connecting", code: null, reason: "", willRetry: true, attempt: 0, transport: null };
  /** When a message came last, in the environment's milliseconds. @type {number | null} */
  heardAt = null;
  #env;
  #onMessage;
  #onStatus;
  #wanted;
  #ways;
  /** @type {import("./transport.js").Transport | null} */
  #transport = null;
  /** The best way, being tried beside one that works. @type {import("./transport.js").Transport | null} */
  #trial = null;
  #trialTimer;
  #timer;
  #attempt = 0;
  #notBefore = 0;
  #isPageChecked = false;
  #wasGreeted = false;
  // Counts what was decided, so that an answer that comes late can see that it is.
  #generation = 0;

  /**
   * @param {import("./transport.js").Environment} env
   * @param {{onMessage: (message: object) => void, onStatus: (status: Status) => void,
   *   wanted: () => import("./transport.js").Wanted[]}} handlers
   */
  constructor(env, { onMessage, onStatus, wanted }) {
    this.#env = env;
    this.#wanted = wanted;
    this.#ways = new Ways(env, () => this.#isAsked());
    this.#onMessage = onMessage;
    this.#onStatus = onStatus;
  }

  /** Whether messages go both ways; the state "offline" alone does not deny it. */
  get isConnected() {
    return this.#transport?.isWelcome ?? false;
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
    return this.#transport?.send(message) ?? false;
  }

  #open() {
    this.#generation += 1;
    try {
      this.#transport = this.#ways.open({
        onMessage: (message) => this.#receive(message),
        onEnd: (ending) => this.#ended(ending),
        wanted: this.#wanted,
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
    if (message.type === "welcome") this.#welcomed();
    if (this.isConnected && this.status.state !== "live") this.#report("live");
    this.#onMessage(message);
  }

  #welcomed() {
    this.#wasGreeted = true;
    this.#ways.succeeded();
    this.#env.clearTimeout(this.#trialTimer);
    if (this.#ways.isSecondBest) this.#tryUpLater();
  }

  #tryUpLater() {
    this.#env.clearTimeout(this.#trialTimer);
    this.#trialTimer = this.#env.setTimeout(() => this.#tryUp(), this.#ways.nextTrialMs());
  }

  /** Try the best way beside the one that works; the page moves over once it is greeted there. */
  #tryUp() {
    if (this.#trial || !this.#ways.isSecondBest || !this.isConnected) return;
    const handlers = {
      wanted: this.#wanted,
      onMessage: (message) => {
        if (this.#transport !== trial) this.#moveTo(trial);
        this.#receive(message);
      },
      onEnd: (ending) => {
        if (this.#transport === trial) {
          this.#ended(ending);
        } else {
          this.#trial = null;
          this.#tryUpLater();
        }
      },
    };
    const trial = this.#ways.openBest(handlers);
    this.#trial = trial;
  }

  /** From the second best to the best: it has greeted us. */
  #moveTo(trial) {
    this.#transport?.close();
    this.#trial = null;
    this.#ways.bestSucceeded();
    // For topics and calls it is a connection that ended and another that began.
    this.#report("reconnecting", { reason: "a better way to the server" });
    this.#transport = trial;
  }

  #dropTrial() {
    this.#env.clearTimeout(this.#trialTimer);
    this.#trial?.close();
    this.#trial = null;
  }

  async #ended({ code, reason, delayMs }) {
    const wasGreeted = this.#wasGreeted;
    this.#wasGreeted = false;
    this.#transport = null;
    this.#dropTrial();
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
    if (!wasGreeted && this.#ways.failed()) {
      this.#schedule(delayMs);
    } else {
      this.#schedule(delayMs + delay(this.#attempt, this.#env.random));
      this.#attempt += 1;
    }
    this.#report("reconnecting", { code, reason });
  }

  #schedule(ms) {
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(() => this.#open(), ms);
  }

  #wake() {
    if (this.status.state === "stopped") return;
    if (this.#transport) {
      this.#transport.probe();
      this.#tryUp();
      return;
    }
    this.#generation += 1;
    // At once, but not before the time the server named, and not all pages in one instant.
    this.#schedule(Math.max(0, this.#notBefore - this.#env.now()) + WAKE_MS * this.#env.random());
    this.#report("reconnecting", this.status);
  }

  /** Another tab asks for the connection, and there is none. @returns {boolean} whether it will be there */
  #isAsked() {
    if (this.#transport || this.status.state === "stopped") return false;
    this.#wake();
    return true;
  }

  /** The browser says that it is offline. It may be wrong about this server: ask. */
  #doubt() {
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
    this.#ways.leave();
    if (this.status.state !== "stopped") this.#report("reconnecting", { reason: "the page was left" });
  }

  /** From the back/forward cache: as good as loading the page, so even one that had stopped tries again. */
  #return() {
    this.#notBefore = 0;
    this.#report("reconnecting");
    this.#wake();
  }

  #report(state, { code = null, reason = "", willRetry = true } = {}) {
    const transport = this.isConnected ? this.#ways.name : null;
    const isOffline = state === "reconnecting" && this.#env.target.navigator.onLine === false;
    this.status = { state: isOffline ? "offline" : state, code, reason, willRetry, attempt: this.#attempt, transport };
    this.#onStatus(this.status);
  }
}
