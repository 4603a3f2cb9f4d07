/**
 * Server-Sent Events: the only file of the client that touches EventSource. For where no WebSocket gets through.
 * One stream holds all topics; when they change it is opened anew, from where the page has come to. Calls go by POST.
 */

import { post } from "./post.js";
import { Transport } from "./transport.js";

const CLOSED = 2;

export class Stream extends Transport {
  /** @type {EventSource | null} */
  #source = null;
  /** What the open stream was asked for. @type {string | null} */
  #opened = null;
  #isDue = false;
  #isGreeting = false;

  constructor(env, handlers, welcomeMs) {
    super(env, handlers, welcomeMs);
    this.#openSoon();
  }

  transmit(message) {
    if (message.type === "call") post(this.env, message, (reply) => this.heard(reply));
    // The page asks for all it wants when it is greeted: the stream was opened with that.
    else if (message.type !== "ack" && !this.#isGreeting) this.#openSoon();
    return true;
  }

  shut() {
    this.#source?.close();
    this.#source = null;
  }

  /** Topics come in groups, as the page is parsed: one stream for all that ask within a task. */
  #openSoon() {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (!this.isOver) this.#open();
    });
  }

  #address() {
    const parameters = new URLSearchParams();
    const wanted = this.wanted;
    for (const { topic, format } of wanted) {
      parameters.append("topic", topic);
      parameters.append("format", format);
    }
    parameters.append("since", wanted.map(({ position }) => position ?? "").join(","));
    return wanted.length > 0 ? `${this.env.paths.stream}?${parameters}` : "";
  }

  #open() {
    this.shut();
    this.#opened = this.#address();
    if (this.#opened === "") {
      // Nothing to follow: nothing to listen to, and nothing that could be wrong.
      this.#welcome({ type: "welcome", heartbeat_seconds: 1e6 });
      return;
    }
    const source = new this.env.EventSource(this.#opened);
    this.#source = source;
    const take = ({ data }) => {
      if (source !== this.#source) return;
      if (data.startsWith('{"type":"welcome"')) this.#welcome(JSON.parse(data));
      else this.heardText(data);
    };
    source.onmessage = take;
    source.addEventListener("heartbeat", take);
    source.onerror = () => source === this.#source && this.#failed(source);
  }

  /** Every stream greets; the page is greeted once. */
  #welcome(message) {
    if (this.isWelcome) return;
    this.#isGreeting = true;
    this.heard(message);
    this.#isGreeting = false;
  }

  async #failed(source) {
    const isRefused = source.readyState === CLOSED;
    const address = this.#opened;
    // It would come back by itself, with positions of when it was opened; connection.js does it with those of now.
    this.shut();
    if (!isRefused) {
      this.ended(1006, "");
      return;
    }
    // An EventSource does not say why.
    const errors = await refusals(this.env, address);
    if (this.isOver || address !== this.#opened) return;
    // Not one of the topics, but the page itself is not let in.
    if (errors === null || errors.some(({ topic }) => topic === undefined)) {
      this.ended(1006, errors?.[0].message ?? "");
      return;
    }
    this.#welcome({ type: "welcome", heartbeat_seconds: 1e6 });
    for (const error of errors) this.heard(error);
  }
}

/** @returns {Promise<object[] | null>} why the server refuses an address; null when it does not say */
async function refusals(env, address) {
  const leave = new AbortController();
  try {
    const response = await env.fetch(address, { signal: leave.signal });
    if (response.ok) return null;
    return (await response.json()).errors ?? null;
  } catch {
    return null;
  } finally {
    leave.abort();
  }
}
