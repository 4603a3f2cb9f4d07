/** Polling: for each topic, one request after another. For networks that block WebSockets and event streams. */

/** @import { Changes, ClientMessage, ErrorMessage, ServerMessage, Subscription } from "../protocol/messages.js" */
/** @import { Handlers, HttpEnvironment } from "./transport.js" */

import { postCall } from "./post.js";
import { Transport } from "./transport.js";

const WAIT_SECONDS = 25;
const PAUSE_MS = 2_500;
// Browsers open six connections to a server; pages, images and calls need some of them.
const MAX_WAITING = 3;
const HEARTBEAT_SECONDS = 30;

/**
 * @typedef {{asked: string, isRefused: boolean, leave: AbortController}} Poll - `asked`: the subscription it serves now,
 *   as JSON; `leave` ends it
 * @typedef {{position: string, messages: ServerMessage[], ephemeral?: ServerMessage[], digest?: number,
 *   behind_seconds?: number, errors?: undefined}} Reading
 * @typedef {Reading | {errors: ErrorMessage[]}} Answer
 */

let isReported = false;

/** Report once what a project probably lacks: no transport reaches the engine. @param {string} url */
function reportMissing(url) {
  if (isReported) return;
  isReported = true;
  console.error(
    `realtime: the server has no ${url}, so this page is not live. Start an ASGI server (daphne, uvicorn), not a WSGI ` +
      "server, and write `application = realtime.asgi.application(get_asgi_application())` in the project's asgi.py.",
  );
}

export class Polling extends Transport {
  #env;
  /** The polls under way, by topic. @type {Map<string, Poll>} */
  #polls = new Map();
  /** The last answer for each topic: the position that it has reached. @type {Map<string, Reading>} */
  #readings = new Map();
  #isStarting = false;

  /**
   * @param {HttpEnvironment} env
   * @param {Handlers} handlers
   * @param {number} welcomeMs
   */
  constructor(env, handlers, welcomeMs) {
    super(env, handlers, welcomeMs);
    this.#env = env;
    this.#startSoon();
  }

  /** @override @param {ClientMessage} message */
  transmit(message) {
    if (message.type === "broadcast") return false;
    if (message.type === "call") postCall(this.#env, message, (reply) => this.receive(reply));
    else if (message.type === "ping") this.#restart();
    else if (message.type === "subscribe" || message.type === "unsubscribe") this.#subscriptionChanged(message.topic);
    return true;
  }

  /** @override */
  disconnect() {
    for (const { leave } of this.#polls.values()) leave.abort();
    this.#polls.clear();
  }

  #restart() {
    this.disconnect();
    this.#startSoon();
  }

  /** @param {string} topic */
  #subscriptionChanged(topic) {
    const poll = this.#polls.get(topic);
    const subscription = this.subscriptions.find((each) => each.topic === topic);
    // The poll under way does not serve a subscription from another position, and none is needed after the last.
    if (poll && (poll.isRefused || poll.asked !== JSON.stringify(subscription))) {
      poll.leave.abort();
      this.#polls.delete(topic);
      this.#readings.delete(topic);
    }
    this.#startSoon();
  }

  #startSoon() {
    if (this.#isStarting) return;
    this.#isStarting = true;
    queueMicrotask(() => {
      this.#isStarting = false;
      if (this.isOver) return;
      const subscriptions = this.subscriptions;
      for (const each of subscriptions) if (!this.#polls.has(each.topic)) this.#follow(each);
      if (subscriptions.length === 0) this.#welcome();
    });
  }

  /** @param {Subscription} subscription */
  async #follow({ topic, format, position }) {
    /** @type {Poll} */
    const poll = { asked: "", isRefused: false, leave: new AbortController() };
    this.#polls.set(topic, poll);
    let current = position;
    let isFirst = true;
    while (!poll.leave.signal.aborted) {
      const subscription = { topic, format, position: current };
      poll.asked = JSON.stringify(subscription);
      const answer = await this.#ask(subscription, isFirst, poll.leave.signal);
      if (poll.leave.signal.aborted) return;
      // An error without a topic refuses the page, not the topic.
      if (answer === null || answer.errors?.some((error) => error.topic === undefined)) {
        this.ended(1006, answer?.errors?.[0]?.message ?? "");
        this.disconnect();
        return;
      }
      this.#welcome();
      if (answer.errors) {
        poll.isRefused = true; // until the page subscribes again
        this.#readings.delete(topic); // a heartbeat must not vouch for it
        for (const error of answer.errors) this.receive(error);
        return;
      }
      poll.asked = JSON.stringify({ topic, format, position: answer.position });
      this.#readings.set(topic, answer);
      // "Nothing new, you are live" is an answer too.
      const offset = Number(answer.position.split(".")[1]);
      /** @type {Changes} */
      const nothing = { type: "changes", topic, after: offset, position: answer.position, changes: [] };
      const messages = answer.messages.length > 0 || !isFirst ? answer.messages : [nothing];
      for (const message of [...messages, ...(answer.ephemeral ?? [])]) this.receive(message);
      this.#beat();
      [current, isFirst] = [answer.position, false];
      if (!this.#mayWait && answer.messages.length === 0) await this.#pause(poll.leave.signal);
    }
  }

  /** Whether few enough topics are polled that each may occupy a connection. */
  get #mayWait() {
    return this.#polls.size <= MAX_WAITING;
  }

  /**
   * @param {Subscription} subscription
   * @param {boolean} isFirst
   * @param {AbortSignal} signal
   * @returns {Promise<Answer | null>} null if no readable answer arrived
   */
  async #ask({ topic, format, position }, isFirst, signal) {
    const wait = isFirst || !this.#mayWait ? 0 : WAIT_SECONDS;
    const parameters = new URLSearchParams({ format, wait: String(wait) });
    if (position !== null) parameters.append("since", position);
    try {
      const url = `${this.#env.paths.topics}${encodeURIComponent(topic)}/?${parameters}`;
      const response = await this.#env.fetch(url, { signal, cache: "no-store" });
      // The engine answers in JSON, unknown addresses included.
      const answer = await response.json().catch(() => null);
      if (answer === null && response.status === 404) reportMissing(url);
      return response.ok || answer?.errors ? answer : null;
    } catch {
      return null;
    }
  }

  /** @param {AbortSignal} signal @returns {Promise<void>} */
  #pause(signal) {
    return new Promise((resolve) => {
      const timer = this.#env.setTimeout(resolve, PAUSE_MS);
      signal.addEventListener("abort", () => {
        this.#env.clearTimeout(timer);
        resolve();
      });
    });
  }

  #welcome() {
    if (!this.isWelcome) this.receive({ type: "welcome", heartbeat_seconds: HEARTBEAT_SECONDS });
  }

  /** A round of answers is equivalent to a heartbeat, once each topic has had one. */
  #beat() {
    const followed = [...this.#polls].filter(([, poll]) => !poll.isRefused);
    if (!followed.every(([topic]) => this.#readings.has(topic))) return;
    /** @type {Record<string, string>} */
    const positions = {};
    /** @type {Record<string, number>} */
    const digests = {};
    let behind_seconds = 0;
    for (const [topic, reading] of this.#readings) {
      positions[topic] = reading.position;
      if (reading.digest !== undefined) digests[topic] = reading.digest;
      behind_seconds = Math.max(behind_seconds, reading.behind_seconds ?? 0);
    }
    this.receive({ type: "heartbeat", positions, digests, behind_seconds });
  }
}
