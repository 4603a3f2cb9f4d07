/** The ways to the server, best first, and which of them to try. */

import { Poll } from "./polling.js";
import { Socket } from "./socket.js";
import { Stream } from "./sse.js";
import { SharedSocket, Tabs } from "./tabs.js";

const WELCOME_MS = 15_000;
// So that a page whose sockets are swallowed is live by the next way within five seconds.
const FIRST_WELCOME_MS = 3_000;
const UP_AGAIN_MS = 60_000;
const MAX_UP_AGAIN_MS = 600_000;
const FAILURES_OF_A_KNOWN_WAY = 6; // some fifteen seconds: servers restart
const REMEMBERED = "realtime-way";

/** @type {{name: "websocket" | "sse" | "poll", Transport: typeof import("./transport.js").Transport}[]} */
const WAYS = [
  { name: "websocket", Transport: Socket },
  { name: "sse", Transport: Stream },
  { name: "poll", Transport: Poll },
];

export class Ways {
  #env;
  #ways;
  #index;
  #tabs;
  #failures = 0;
  #trials = 0;
  /** Ways that this page was greeted on: if one of these fails, the server is away rather than the way barred. */
  #known = new Set();

  /**
   * @param {import("./transport.js").Environment} env
   * @param {() => boolean} onAsked - see tabs.js
   */
  constructor(env, onAsked) {
    this.#env = env;
    this.#ways = env.paths ? WAYS : WAYS.slice(0, 1);
    this.#tabs = env.tabs ? new Tabs(env, onAsked) : null;
    const remembered = this.#ways.findIndex(({ name }) => name === env.storage?.getItem(REMEMBERED));
    this.#index = Math.max(0, remembered);
  }

  get name() {
    return this.#ways[this.#index].name;
  }

  /** Whether a better way could be tried. */
  get isSecondBest() {
    return this.#index > 0;
  }

  /** Open the way that is to be tried now. */
  open(handlers) {
    return this.#open(this.#index, handlers);
  }

  /** Open the best way, to see whether it gets through by now. */
  openBest(handlers) {
    return this.#open(0, handlers);
  }

  #open(index, handlers) {
    const isFirst = this.#ways.length > 1 && !this.#known.has(index) && index < this.#ways.length - 1;
    const welcomeMs = isFirst ? FIRST_WELCOME_MS : WELCOME_MS;
    if (index === 0 && this.#tabs) return new SharedSocket(this.#env, handlers, welcomeMs, this.#tabs);
    return new this.#ways[index].Transport(this.#env, handlers, welcomeMs);
  }

  /** The page is left. */
  leave() {
    this.#tabs?.leave();
  }

  /** It gets through. */
  succeeded() {
    this.#known.add(this.#index);
    this.#failures = 0;
    this.#env.storage?.setItem(REMEMBERED, this.name);
  }

  bestSucceeded() {
    this.#index = 0;
    this.#trials = 0;
    this.succeeded();
  }

  /**
   * It was not even greeted. @returns {boolean} whether there is another way to try at once; after the last it is the
   * first one's turn again, with the usual pause
   */
  failed() {
    this.#failures += 1;
    if (this.#known.has(this.#index) && this.#failures < FAILURES_OF_A_KNOWN_WAY) return false;
    this.#index = (this.#index + 1) % this.#ways.length;
    return this.#index > 0;
  }

  /** How long to stay on the second best before the best is tried again, in milliseconds: longer each time. */
  nextTrialMs() {
    const wait = Math.min(MAX_UP_AGAIN_MS, UP_AGAIN_MS * 2 ** this.#trials++);
    return wait * (0.5 + this.#env.random() / 2);
  }
}
