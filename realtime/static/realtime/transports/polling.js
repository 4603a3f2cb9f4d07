/** Polling: requests, one after another for each topic. For where neither WebSocket nor stream gets through. */

import { post } from "./post.js";
import { Transport } from "./transport.js";

const WAIT_SECONDS = 25;
const PAUSE_MS = 2_500;
// Browsers open six connections to a server; pages, pictures and calls need some.
const MAX_WAITING = 3;
const HEARTBEAT_SECONDS = 30;

export class Poll extends Transport {
  /** What is polled: topic to what ends it. @type {Map<string, {asked: string, isRefused: boolean, leave: AbortController}>} */
  #polls = new Map();
  /** How far each topic was brought. @type {Map<string, string>} */
  #positions = new Map();
  #isDue = false;

  constructor(env, handlers, welcomeMs) {
    super(env, handlers, welcomeMs);
    this.#startSoon();
  }

  transmit(message) {
    if (message.type === "call") post(this.env, message, (reply) => this.heard(reply));
    else if (message.type === "ping") this.#restart();
    else if (message.type === "subscribe" || message.type === "unsubscribe") this.#startSoon(message.topic);
    return true;
  }

  shut() {
    for (const { leave } of this.#polls.values()) leave.abort();
    this.#polls.clear();
  }

  #restart() {
    this.shut();
    this.#startSoon();
  }

  #startSoon(topic = null) {
    const poll = this.#polls.get(topic);
    const wanted = this.wanted.find((each) => each.topic === topic);
    // A question that what is under way does not answer: asked from elsewhere, or asked no more.
    if (poll && (poll.isRefused || poll.asked !== JSON.stringify(wanted))) {
      poll.leave.abort();
      this.#polls.delete(topic);
      this.#positions.delete(topic);
    }
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (this.isOver) return;
      const topics = this.wanted;
      for (const each of topics) if (!this.#polls.has(each.topic)) this.#follow(each);
      if (topics.length === 0) this.#welcome();
    });
  }

  async #follow({ topic, format, position }) {
    const poll = { asked: "", isRefused: false, leave: new AbortController() };
    this.#polls.set(topic, poll);
    let at = position;
    let isFirst = true;
    while (!poll.leave.signal.aborted) {
      poll.asked = JSON.stringify({ topic, format, position: at });
      const answer = await this.#ask(topic, format, at, isFirst, poll.leave.signal);
      if (poll.leave.signal.aborted) return;
      if (answer === null || answer.errors?.some((error) => error.topic === undefined)) {
        this.ended(1006, answer?.errors[0].message ?? "");
        this.shut();
        return;
      }
      this.#welcome();
      if (answer.errors) {
        poll.isRefused = true; // Until it is asked for again.
        for (const error of answer.errors) this.heard(error);
        return;
      }
      poll.asked = JSON.stringify({ topic, format, position: answer.position });
      this.#positions.set(topic, answer.position);
      // "Nothing new, you are live" is an answer too.
      const offset = Number(answer.position.split(".").at(-1));
      const nothing = { type: "changes", topic, after: offset, position: answer.position, changes: [] };
      const messages = answer.messages.length > 0 || !isFirst ? answer.messages : [nothing];
      for (const message of messages) this.heard(message);
      this.#beat();
      [at, isFirst] = [answer.position, false];
      if (!this.#mayWait && answer.messages.length === 0) await this.#pause(poll.leave.signal);
    }
  }

  get #mayWait() {
    return this.#polls.size <= MAX_WAITING;
  }

  async #ask(topic, format, position, isFirst, signal) {
    const parameters = new URLSearchParams({ format, wait: isFirst || !this.#mayWait ? 0 : WAIT_SECONDS });
    if (position !== null) parameters.append("since", position);
    try {
      const address = `${this.env.paths.topics}${encodeURIComponent(topic)}/?${parameters}`;
      const response = await this.env.fetch(address, { signal, cache: "no-store" });
      const answer = await response.json();
      return response.ok || answer.errors ? answer : null;
    } catch {
      return null;
    }
  }

  #pause(signal) {
    return new Promise((resolve) => {
      const timer = this.env.setTimeout(resolve, PAUSE_MS);
      signal.addEventListener("abort", () => (this.env.clearTimeout(timer), resolve()));
    });
  }

  #welcome() {
    if (!this.isWelcome) this.heard({ type: "welcome", heartbeat_seconds: HEARTBEAT_SECONDS });
  }

  /** A round of answers is as good as a heartbeat, once it has been the turn of all. */
  #beat() {
    const followed = [...this.#polls].filter(([, poll]) => !poll.isRefused);
    if (followed.every(([topic]) => this.#positions.has(topic))) {
      this.heard({ type: "heartbeat", positions: Object.fromEntries(this.#positions) });
    }
  }
}
