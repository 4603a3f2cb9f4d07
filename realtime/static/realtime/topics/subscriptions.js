/** The topics this page follows: passes each message to its topic, and subscribes again after a gap. Pure. */

/** @import { ClientMessage, Format, ServerMessage, Subscription } from "../protocol/messages.js" */
/** @import { Follower } from "./topic.js" */

import { Topic } from "./topic.js";

export class Subscriptions {
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  #isConnected = false;
  #send;

  /** @param {(message: ClientMessage) => void} send - called only between `connected` and `disconnected` */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {string} name
   * @param {Format} format
   * @param {Follower} follower - receives what follows its `position`
   * @throws {Error} if the page follows the topic in the other format
   */
  add(name, format, follower) {
    const topic = this.#topics.get(name) ?? new Topic(name, format);
    if (topic.format !== format) {
      throw new Error(
        `"${name}" is followed as ${topic.format} already, and a page follows a topic in one format only. ` +
          `Subscribe to it with format "${topic.format}", or unsubscribe first.`,
      );
    }
    const isFirst = topic.followers.size === 0;
    const asked = topic.position;
    this.#topics.set(name, topic);
    topic.followers.add(follower);
    // The subscription under way also serves a new follower at the same position as the others.
    const isServed = !isFirst && !topic.isRefused && topic.position === asked;
    if (this.#isConnected && !isServed) this.#subscribe(topic);
    topic.notify(this.#isConnected);
  }

  /** @param {string} name @param {Follower} follower */
  delete(name, follower) {
    const topic = this.#topics.get(name);
    if (!topic?.followers.delete(follower) || topic.followers.size > 0) return;
    this.#topics.delete(name);
    if (this.#isConnected) this.#send({ type: "unsubscribe", topic: name });
  }

  /** @param {string} name @returns {string | null} the position of the topic's rows on this page */
  position(name) {
    return this.#topics.get(name)?.position ?? null;
  }

  /** @returns {Subscription[]} one for each topic that the page follows */
  list() {
    return [...this.#topics.values()].map(({ name, format, position }) => ({ topic: name, format, position }));
  }

  /** Subscribe to all topics: the server keeps subscriptions per connection. */
  connected() {
    this.#isConnected = true;
    for (const topic of this.#topics.values()) {
      // Refused topics as well: the user may have signed in since.
      this.#subscribe(topic);
      topic.notify(true);
    }
  }

  disconnected() {
    this.#isConnected = false;
    for (const topic of this.#topics.values()) {
      topic.disconnected();
      topic.notify(false);
    }
  }

  /** @param {ServerMessage} message */
  receive(message) {
    if (message.type === "heartbeat") {
      for (const topic of this.#topics.values()) this.#after(topic, topic.heartbeat(message.positions?.[topic.name]));
      return;
    }
    if (!("topic" in message) || message.topic === undefined) return;
    const topic = this.#topics.get(message.topic);
    if (!topic) return;
    if (message.type === "snapshot") this.#after(topic, topic.snapshot(message));
    if (message.type === "changes") this.#after(topic, topic.changes(message));
    if (message.type === "error") this.#after(topic, topic.error(message));
  }

  /** @param {Topic} topic @param {boolean} mustSubscribe */
  #after(topic, mustSubscribe) {
    if (mustSubscribe) this.#subscribe(topic);
    topic.notify(this.#isConnected);
  }

  /** @param {Topic} topic */
  #subscribe(topic) {
    this.#send(topic.subscribe());
  }
}
