/** The state of the tab that owns the shared connection: which tab follows a topic or made a call. Pure. */

/** @import { ClientMessage, Format, ServerMessage, Subscribe, Unsubscribe } from "../protocol/messages.js" */

import { combined, contentsOf } from "../protocol/formats.js";
import { isBehind, parse } from "../protocol/position.js";

/**
 * The format that serves two tabs: they may differ in signals, which those that do not need them ignore.
 * @param {Format} theirs @param {Format} mine
 * @throws {RangeError} if the contents of their rows differ, and so the digests
 */
function joined(theirs, mine) {
  if (theirs === mine) return mine;
  const [before, now] = [contentsOf(theirs), contentsOf(mine)];
  if (before && now && before !== now) throw new RangeError("another tab follows it in another format");
  return combined([theirs, mine]);
}

export class Relay {
  /** @type {Map<string, {format: Format, tabs: Set<string>, position: string | null}>} */
  #topics = new Map();
  /** By the id on the wire. @type {Map<number, {tab: string, id: number}>} */
  #calls = new Map();
  #nextId = 1;

  /**
   * A tab sends a message.
   * @param {string} tab
   * @param {ClientMessage} message
   * @returns {ClientMessage | null} what to send to the server; null for nothing
   * @throws {RangeError} if the tab subscribes to a topic in another format, and so needs a connection of its own
   */
  outgoing(tab, message) {
    if (message.type === "subscribe") return this.#subscribe(tab, message);
    if (message.type === "unsubscribe") return this.#unsubscribe(tab, message.topic);
    if (message.type === "call") {
      const id = this.#nextId++;
      this.#calls.set(id, { tab, id: message.id });
      return { ...message, id };
    }
    return message;
  }

  /**
   * The server has sent a message.
   * @param {ServerMessage} message
   * @returns {{tab: string | null, message: ServerMessage}} the tab to pass it to; null for all
   */
  incoming(message) {
    if (message.type === "changes" || (message.type === "snapshot" && !message.more)) {
      const topic = this.#topics.get(message.topic);
      if (topic) topic.position = message.position;
    }
    const call = message.type === "reply" ? this.#calls.get(message.id) : null;
    if (message.type !== "reply" || !call) return { tab: null, message };
    this.#calls.delete(message.id);
    return { tab: call.tab, message: { ...message, id: call.id } };
  }

  /**
   * A tab was closed or navigated away.
   * @param {string} tab
   * @returns {Unsubscribe[]} what to send to the server
   */
  removeTab(tab) {
    return [...this.#topics.keys()].map((topic) => this.#unsubscribe(tab, topic)).filter((message) => message !== null);
  }

  /** @param {string} tab @param {Subscribe} message @returns {Subscribe} */
  #subscribe(tab, message) {
    const topic = this.#topics.get(message.topic) ?? { format: message.format, tabs: new Set(), position: null };
    const isShared = [...topic.tabs].some((other) => other !== tab);
    const format = isShared ? joined(topic.format, message.format) : message.format;
    this.#topics.set(message.topic, topic);
    topic.format = format;
    topic.tabs.add(tab);
    // Any answer has the signal.
    if (isShared && format !== "signal" && message.format === "signal") {
      return { ...message, format, position: topic.position ?? undefined };
    }
    // The server resumes from one position for all tabs, which must not be later than that of the others.
    const isLater =
      isShared &&
      topic.position !== null &&
      message.position !== undefined &&
      parse(topic.position).epoch === parse(message.position).epoch &&
      isBehind(topic.position, message.position);
    return { ...message, format, ...(isLater && { position: topic.position ?? undefined }) };
  }

  /** @param {string} tab @param {string} name @returns {Unsubscribe | null} */
  #unsubscribe(tab, name) {
    const topic = this.#topics.get(name);
    if (!topic?.tabs.delete(tab) || topic.tabs.size > 0) return null;
    this.#topics.delete(name);
    return { type: "unsubscribe", topic: name };
  }
}
