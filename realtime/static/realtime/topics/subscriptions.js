/** The topics this page follows: passes each message to its topic, and subscribes again where that is needed. */

/** @import { ClientMessage, Format, ServerMessage, Subscription } from "../protocol/messages.js" */
/** @import { Timers } from "./retries.js" */
/** @import { Follower, TopicState, TopicStatus } from "./topic.js" */

import { runHandler } from "./handlers.js";
import { Retries } from "./retries.js";
import { Topic } from "./topic.js";

// A server may be one look at its log behind without anything being wrong.
const BEHIND_MS = 5_000;

/**
 * @typedef {object} Handlers
 * @property {(message: ClientMessage) => void} send - called only between `connected` and `disconnected`
 * @property {() => void} onChange - the state of a topic has changed
 * @property {() => void} onBroken - rows could not be shown, not even those of a fresh snapshot
 */

export class Subscriptions {
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  #isConnected = false;
  /** How old the oldest change is that the server has not sequenced. */
  #behindMs = 0;
  #isLate = false;
  #times;
  #handlers;
  #retries;

  /** @param {Timers & {now: () => number}} env @param {Handlers} handlers */
  constructor(env, handlers) {
    this.#times = { now: env.now, asOf: () => env.now() - this.#behindMs };
    this.#handlers = handlers;
    this.#retries = new Retries(env, (topic) => this.#subscribe(topic));
  }

  /** The page has waited for the server for too long to look current. @param {boolean} isLate */
  set isLate(isLate) {
    this.#isLate = isLate;
    this.#notify([...this.#topics.values()]);
  }

  /**
   * @param {string} name
   * @param {Follower} follower - receives what follows its `position`
   * @param {number} addedAt - when its rows were read
   */
  add(name, follower, addedAt) {
    const topic = this.#topics.get(name) ?? new Topic(name, this.#times, addedAt);
    this.#topics.set(name, topic);
    if (topic.add(follower)) this.#subscribe(topic);
    this.#notify([topic]);
    const { viewers } = topic;
    if (!viewers) return;
    // Later, when the caller has what `subscribe` returns.
    queueMicrotask(() => {
      if (!topic.followers.has(follower)) return;
      runHandler(() => follower.onPresence?.({ ...viewers, joined: viewers.names, left: [] }));
    });
  }

  /** @param {string} name @param {Follower} follower */
  delete(name, follower) {
    const topic = this.#topics.get(name);
    if (!topic?.followers.delete(follower) || topic.followers.size > 0) return;
    this.#topics.delete(name);
    this.#retries.forget(topic);
    if (this.#isConnected) this.#handlers.send({ type: "unsubscribe", topic: name });
    this.#handlers.onChange();
  }

  /** @returns {Subscription[]} one for each topic that the page follows */
  list() {
    return [...this.#topics.values()].map(({ name, format, resumesFrom }) => ({
      topic: name,
      format: /** @type {Format} */ (format),
      position: resumesFrom,
    }));
  }

  /** @returns {Record<string, TopicStatus>} by topic */
  statuses() {
    /** @type {Record<string, TopicStatus>} */
    const statuses = {};
    for (const { name, followers, since, reason } of this.#topics.values()) {
      const states = [...followers].map(({ state = "loading" }) => state);
      // Followers differ only while some of them have no rows yet.
      const state = states.find((each) => each !== "live") ?? "live";
      statuses[name] = { state, since: state === "live" ? null : since, reason };
    }
    return statuses;
  }

  /**
   * @param {string} name
   * @param {Follower} follower
   * @returns {{state: TopicState | "unsubscribed", since: number | null, reason: string}}
   */
  statusOf(name, follower) {
    const topic = this.#topics.get(name);
    if (!topic?.followers.has(follower)) return { state: "unsubscribed", since: null, reason: "" };
    const state = follower.state ?? "loading";
    return { state, since: state === "live" ? null : topic.since, reason: topic.reason };
  }

  /** When all rows of the page were last known to be current; null without topics. @returns {number | null} */
  get since() {
    const shown = [...this.#topics.values()].filter((topic) => !topic.isRefused);
    const times = shown.map((topic) => topic.since);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** Whether there are rows that could not be shown, not even those of a fresh snapshot. */
  get isBroken() {
    return [...this.#topics.values()].some((topic) => topic.isBroken);
  }

  /** Subscribe to all topics: the server keeps subscriptions per connection. */
  connected() {
    this.#isConnected = true;
    // Refused topics as well: the user may have signed in since.
    for (const topic of this.#topics.values()) this.#subscribe(topic);
    this.#notify([...this.#topics.values()]);
  }

  disconnected() {
    this.#isConnected = false;
    this.#retries.pause();
    for (const topic of this.#topics.values()) topic.disconnected();
    this.#notify([...this.#topics.values()]);
  }

  /** The page is shown again: ask for the topics that were refused or could not be read. */
  shown() {
    this.#retries.askNow();
  }

  /** @param {ServerMessage} message */
  receive(message) {
    if (message.type === "heartbeat") {
      this.#behindMs = 1000 * (message.behind_seconds ?? 0);
      for (const topic of this.#topics.values()) {
        this.#after(topic, topic.heartbeat(message.positions?.[topic.name], message.digests?.[topic.name]));
      }
      this.#notify([...this.#topics.values()]);
      return;
    }
    const topic = this.#topicOf(message);
    if (!topic) return;
    if (message.type === "snapshot") this.#after(topic, topic.snapshot(message));
    if (message.type === "changes") this.#after(topic, topic.changes(message));
    if (message.type === "presence") topic.presence(message);
    if (message.type === "broadcast") topic.broadcast(message);
    if (message.type === "error") this.#after(topic, topic.error(message));
    this.#notify([topic]);
  }

  /** A message could not be handled: its topic is not current. @param {ServerMessage} message */
  failed(message) {
    const topic = this.#topicOf(message);
    const topics = topic ? [topic] : [...this.#topics.values()];
    for (const each of topics) this.#after(each, each.failed(message));
    this.#notify(topics);
  }

  /** @param {ServerMessage} message */
  #topicOf(message) {
    return "topic" in message && message.topic !== undefined ? this.#topics.get(message.topic) : undefined;
  }

  /** @param {Topic} topic @param {boolean} mustSubscribe */
  #after(topic, mustSubscribe) {
    if (mustSubscribe) this.#subscribe(topic);
    else if (topic.mayRetry && !this.#retries.has(topic)) this.#retries.schedule(topic);
    else if (topic.isInStep) this.#retries.forget(topic);
    if (topic.isBroken) this.#handlers.onBroken();
  }

  /** @param {Topic[]} topics */
  #notify(topics) {
    const isBehind = this.#behindMs > BEHIND_MS;
    const circumstances = { isConnected: this.#isConnected, isBehind, isLate: this.#isLate };
    const changed = topics.map((topic) => topic.notify(circumstances));
    // While the page is behind, the time as of which it is current moves with every heartbeat.
    if (changed.includes(true) || isBehind) this.#handlers.onChange();
  }

  /** @param {Topic} topic */
  #subscribe(topic) {
    if (this.#isConnected) this.#handlers.send(topic.subscribe());
  }
}
