/**
 * Server-Sent Events, for networks that block WebSockets: the only module of the client that opens an EventSource.
 * One stream has all topics; when they change, it is opened again from the page's positions. Calls are sent by POST.
 */

/** @import { ClientMessage, ErrorMessage, Welcome } from "../protocol/messages.js" */
/** @import { Handlers, HttpEnvironment } from "./transport.js" */

import { postCall } from "./post.js";
import { Transport } from "./transport.js";

const CLOSED = 2;
// Without a stream no heartbeats arrive, and their absence must not end the transport.
const NO_HEARTBEAT_SECONDS = 1e6;

export class EventStream extends Transport {
  #env;
  /** @type {EventSource | null} */
  #source = null;
  /** URL of the open stream; empty if there is nothing to follow. @type {string | null} */
  #opened = null;
  #isOpening = false;
  #isGreeting = false;

  /**
   * @param {HttpEnvironment} env
   * @param {Handlers} handlers
   * @param {number} welcomeMs
   */
  constructor(env, handlers, welcomeMs) {
    super(env, handlers, welcomeMs);
    this.#env = env;
    this.#openSoon();
  }

  /** @override @param {ClientMessage} message */
  transmit(message) {
    if (message.type === "broadcast") return false;
    if (message.type === "call") postCall(this.#env, message, (reply) => this.receive(reply));
    // On `welcome` the page subscribes to all its topics: the stream was opened with these.
    else if (message.type !== "ack" && !this.#isGreeting) this.#openSoon();
    return true;
  }

  /** @override */
  disconnect() {
    this.#source?.close();
    this.#source = null;
  }

  /** While the page is parsed, topics arrive in groups: open one stream for all that subscribe within a task. */
  #openSoon() {
    if (this.#isOpening) return;
    this.#isOpening = true;
    queueMicrotask(() => {
      this.#isOpening = false;
      if (!this.isOver) this.#open();
    });
  }

  #streamUrl() {
    const parameters = new URLSearchParams();
    const subscriptions = this.subscriptions;
    for (const { topic, format } of subscriptions) {
      parameters.append("topic", topic);
      parameters.append("format", format);
    }
    parameters.append("since", subscriptions.map(({ position }) => position ?? "").join(","));
    return subscriptions.length > 0 ? `${this.#env.paths.stream}?${parameters}` : "";
  }

  #open() {
    this.disconnect();
    this.#opened = this.#streamUrl();
    if (this.#opened === "") {
      this.#welcome({ type: "welcome", heartbeat_seconds: NO_HEARTBEAT_SECONDS });
      return;
    }
    const source = new this.#env.EventSource(this.#opened);
    this.#source = source;
    /** @param {MessageEvent<string>} event */
    const onEvent = ({ data }) => {
      if (source !== this.#source) return;
      if (data.startsWith('{"type":"welcome"')) this.#welcome(JSON.parse(data));
      else this.receiveText(data);
    };
    source.onmessage = onEvent;
    source.addEventListener("heartbeat", onEvent);
    source.onerror = () => source === this.#source && this.#failed(source);
  }

  /** Every stream begins with `welcome`; the page receives only the first. @param {Welcome} message */
  #welcome(message) {
    if (this.isWelcome) return;
    this.#isGreeting = true;
    this.receive(message);
    this.#isGreeting = false;
  }

  /** @param {EventSource} source */
  async #failed(source) {
    const isRefused = source.readyState === CLOSED;
    const url = this.#opened ?? "";
    // It would reconnect by itself, but from the positions at its opening; connection.js uses the current ones.
    this.disconnect();
    if (!isRefused) {
      this.ended(1006, "");
      return;
    }
    // An EventSource does not report why it was refused.
    const errors = await refusals(this.#env, url);
    if (this.isOver || url !== this.#opened) return;
    // An error without a topic refuses the page, not a topic.
    if (errors === null || errors.some(({ topic }) => topic === undefined)) {
      this.ended(1006, errors?.[0]?.message ?? "");
      return;
    }
    this.#welcome({ type: "welcome", heartbeat_seconds: NO_HEARTBEAT_SECONDS });
    for (const error of errors) this.receive(error);
  }
}

/**
 * Ask why the server refuses a stream.
 * @param {HttpEnvironment} env
 * @param {string} url
 * @returns {Promise<ErrorMessage[] | null>} null if the answer has no reasons
 */
async function refusals(env, url) {
  const leave = new AbortController();
  try {
    const response = await env.fetch(url, { signal: leave.signal });
    if (response.ok) return null;
    return (await response.json()).errors ?? null;
  } catch {
    return null;
  } finally {
    leave.abort();
  }
}
