/** When to subscribe again to topics that the server has refused or could not read. */

/** @import { Topic } from "./topic.js" */

const BASE_MS = 5_000;
// Below two heartbeats of polling: the answer also shows that the server is there.
const MAX_MS = 60_000;

/**
 * @typedef {{setTimeout: (action: () => void, ms: number) => unknown, clearTimeout: (timer: any) => void,
 *   random: () => number}} Timers
 */

export class Retries {
  #env;
  #ask;
  /** @type {Map<Topic, {attempt: number, timer: unknown}>} */
  #waiting = new Map();

  /** @param {Timers} env @param {(topic: Topic) => void} ask */
  constructor(env, ask) {
    this.#env = env;
    this.#ask = ask;
  }

  /** Whether it will ask for this topic. @param {Topic} topic */
  has(topic) {
    return (this.#waiting.get(topic)?.timer ?? null) !== null;
  }

  /** Ask again after a while: twice as long each time. @param {Topic} topic */
  schedule(topic) {
    const attempt = this.#waiting.get(topic)?.attempt ?? 0;
    this.#stop(topic);
    const wait = Math.min(MAX_MS, BASE_MS * 2 ** attempt) * (0.5 + this.#env.random() / 2);
    const timer = this.#env.setTimeout(() => this.#fire(topic), wait);
    this.#waiting.set(topic, { attempt: attempt + 1, timer });
  }

  /** The topic was answered, or is followed no longer. @param {Topic} topic */
  forget(topic) {
    this.#stop(topic);
    this.#waiting.delete(topic);
  }

  /** The connection is lost; the next one asks for all topics. */
  pause() {
    for (const topic of this.#waiting.keys()) this.#stop(topic);
  }

  /** Ask for all that wait: the page is shown again. */
  askNow() {
    for (const [topic, { timer }] of [...this.#waiting]) if (timer !== null) this.#fire(topic);
  }

  /** @param {Topic} topic */
  #fire(topic) {
    this.#stop(topic);
    this.#ask(topic);
  }

  /** @param {Topic} topic */
  #stop(topic) {
    const entry = this.#waiting.get(topic);
    if (!entry) return;
    this.#env.clearTimeout(entry.timer);
    entry.timer = null;
  }
}
