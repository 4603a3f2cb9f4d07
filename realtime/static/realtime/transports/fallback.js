/** Which transport to use: the best one that gets through, and when to try a better one again. */

/** @import { Environment, Handlers, HttpEnvironment, Transport } from "./transport.js" */

import { TRANSPORT_KEY } from "./page.js";
import { Polling } from "./polling.js";
import { Socket } from "./socket.js";
import { EventStream } from "./sse.js";
import { SharedSocket, Tabs } from "./tabs.js";

const WELCOME_MS = 15_000;
// A page whose WebSockets get no answer is to be live by the next transport within five seconds.
const FIRST_WELCOME_MS = 3_000;
const TRIAL_MS = 60_000;
const MAX_TRIAL_MS = 600_000;
const MAX_PROVEN_FAILURES = 6; // about fifteen seconds: servers restart

/** @typedef {"websocket" | "sse" | "poll"} TransportName - how the server is reached */

export class Fallback {
  #env;
  /** Best first. @type {{name: TransportName, open: (handlers: Handlers, welcomeMs: number) => Transport}[]} */
  #transports;
  #index;
  #tabs;
  #failures = 0;
  #trials = 0;
  /**
   * Indexes of the transports on which this page has received a greeting. If one of these fails, the server is away; the
   * network does not block it.
   * @type {Set<number>}
   */
  #proven = new Set();

  /**
   * @param {Environment} env
   * @param {() => boolean} connect - see tabs.js
   */
  constructor(env, connect) {
    this.#env = env;
    const tabs = env.tabs ? new Tabs(env, env.tabs, connect) : null;
    this.#tabs = tabs;
    this.#transports = [
      {
        name: "websocket",
        open: (handlers, welcomeMs) =>
          tabs ? new SharedSocket(env, handlers, welcomeMs, tabs) : new Socket(env, handlers, welcomeMs),
      },
    ];
    if (hasHttp(env)) {
      this.#transports.push(
        { name: "sse", open: (handlers, welcomeMs) => new EventStream(env, handlers, welcomeMs) },
        { name: "poll", open: (handlers, welcomeMs) => new Polling(env, handlers, welcomeMs) },
      );
    }
    const stored = env.storage?.getItem(TRANSPORT_KEY);
    this.#index = Math.max(
      0,
      this.#transports.findIndex(({ name }) => name === stored),
    );
  }

  /** The name of the transport in use. */
  get name() {
    return this.#transports[this.#index].name;
  }

  /** Whether there is a better transport than the one in use. */
  get hasBetter() {
    return this.#index > 0;
  }

  /** Open the transport to use now. @param {Handlers} handlers */
  open(handlers) {
    return this.#open(this.#index, handlers);
  }

  /** Open the best transport, to see whether it gets through by now. @param {Handlers} handlers */
  openBest(handlers) {
    return this.#open(0, handlers);
  }

  /** @param {number} index @param {Handlers} handlers */
  #open(index, handlers) {
    const isLast = index === this.#transports.length - 1;
    const welcomeMs = this.#proven.has(index) || isLast ? WELCOME_MS : FIRST_WELCOME_MS;
    return this.#transports[index].open(handlers, welcomeMs);
  }

  /** The page is left. */
  leave() {
    this.#tabs?.leave();
  }

  /** The transport in use has received the greeting. */
  succeeded() {
    this.#proven.add(this.#index);
    this.#failures = 0;
    this.#env.storage?.setItem(TRANSPORT_KEY, this.name);
  }

  /** The best transport has received the greeting, and is in use from now on. */
  bestSucceeded() {
    this.#index = 0;
    this.#trials = 0;
    this.succeeded();
  }

  /**
   * The transport in use ended without a greeting.
   * @returns {boolean} whether to try another one at once; after the last one the first is next, after the usual delay
   */
  failed() {
    this.#failures += 1;
    if (this.#proven.has(this.#index) && this.#failures < MAX_PROVEN_FAILURES) return false;
    this.#index = (this.#index + 1) % this.#transports.length;
    return this.#index > 0;
  }

  /** Wait before the best transport is tried again, in milliseconds: longer each time. */
  nextTrialMs() {
    const wait = Math.min(MAX_TRIAL_MS, TRIAL_MS * 2 ** this.#trials++);
    return wait * (0.5 + this.#env.random() / 2);
  }
}

/** @param {Environment} env @returns {env is HttpEnvironment} */
function hasHttp(env) {
  return env.paths !== undefined;
}
