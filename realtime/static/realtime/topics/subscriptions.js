/** Which topics this page follows: hands each message to its topic, and asks again where there is a gap. Pure. */

import { Topic } from "./topic.js";

export class Subscriptions {
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  #isConnected = false;
  #send;

  /** @param {(message: object) => void} send - called between `connected` and `disconnected` only */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {string} name
   * @param {"rows" | "html"} format
   * @param {import("./topic.js").Follower} follower - asked to go on from its `position`
   */
  add(name, format, follower) {
    const topic = this.#topics.get(name) ?? new Topic(name, format);
    if (topic.format !== format) {
      throw new Error(`"${name}" is followed as ${topic.format} already; a page follows a topic in one format.`);
    }
    const isFirst = topic.followers.size === 0;
    const asked = topic.position;
    this.#topics.set(name, topic);
    topic.followers.add(follower);
    // What is under way already serves a newcomer that is where the others are.
    const isServed = !isFirst && !topic.isRefused && topic.position === asked;
    if (this.#isConnected && !isServed) this.#subscribe(topic);
    topic.tell(this.#isConnected);
  }

  delete(name, follower) {
    const topic = this.#topics.get(name);
    if (!topic?.followers.delete(follower) || topic.followers.size > 0) return;
    this.#topics.delete(name);
    if (this.#isConnected) this.#send({ type: "unsubscribe", topic: name });
  }

  /** @returns {string | null} the position of what the page holds of a topic */
  position(name) {
    return this.#topics.get(name)?.position ?? null;
  }

  /** @returns {import("../transports/transport.js").Wanted[]} what the page follows, and how far it has come */
  wanted() {
    return [...this.#topics.values()].map(({ name, format, position }) => ({ topic: name, format, position }));
  }

  /** Subscriptions are state, not messages: every connection is told all of them. */
  connected() {
    this.#isConnected = true;
    for (const topic of this.#topics.values()) {
      // Who was refused may have signed in since: a new connection is a new question.
      this.#subscribe(topic);
      topic.tell(true);
    }
  }

  disconnected() {
    this.#isConnected = false;
    for (const topic of this.#topics.values()) {
      topic.disconnected();
      topic.tell(false);
    }
  }

  /** @param {object} message - from the server */
  receive(message) {
    if (message.type === "heartbeat") {
      for (const topic of this.#topics.values()) this.#after(topic, topic.heartbeat(message.positions?.[topic.name]));
      return;
    }
    const topic = this.#topics.get(message.topic);
    if (!topic) return;
    if (message.type === "snapshot") this.#after(topic, topic.snapshot(message));
    if (message.type === "changes") this.#after(topic, topic.changes(message));
    if (message.type === "error") this.#after(topic, topic.error(message));
  }

  #after(topic, mustAsk) {
    if (mustAsk) this.#subscribe(topic);
    topic.tell(this.#isConnected);
  }

  #subscribe(topic) {
    this.#send(topic.subscription());
  }
}
