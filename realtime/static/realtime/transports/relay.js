/** What the tab that owns the connection does for the others: who follows what, whose call it was. Pure. */

import { isBehind, parse } from "../protocol/position.js";

export class Relay {
  /** @type {Map<string, {format: string, tabs: Set<string>, position: string | null}>} */
  #topics = new Map();
  /** @type {Map<number, {tab: string, id: number}>} */
  #calls = new Map();
  #nextId = 1;

  /**
   * @param {string} tab @param {object} message - that it would send
   * @returns {object | null} what to send for it, null: nothing
   * @throws {RangeError} when the tab needs a connection of its own: it wants a topic in another format
   */
  from(tab, message) {
    if (message.type === "subscribe") return this.#subscribe(tab, message);
    if (message.type === "unsubscribe") return this.#unsubscribe(tab, message.topic);
    if (message.type === "call") {
      const id = this.#nextId++;
      this.#calls.set(id, { tab, id: message.id });
      return { ...message, id };
    }
    return message;
  }

  /** @param {object} message - of the server @returns {{tab: string | null, message: object}} null: it is for all */
  to(message) {
    const topic = this.#topics.get(message.topic);
    if (topic && (message.type === "changes" || (message.type === "snapshot" && !message.more))) {
      topic.position = message.position;
    }
    const call = message.type === "reply" ? this.#calls.get(message.id) : null;
    if (!call) return { tab: null, message };
    this.#calls.delete(message.id);
    return { tab: call.tab, message: { ...message, id: call.id } };
  }

  /** A tab has gone. @returns {object[]} what to send because of it */
  left(tab) {
    return [...this.#topics.keys()].map((topic) => this.#unsubscribe(tab, topic)).filter((message) => message !== null);
  }

  #subscribe(tab, message) {
    const topic = this.#topics.get(message.topic) ?? { format: message.format, tabs: new Set(), position: null };
    const isShared = [...topic.tabs].some((other) => other !== tab);
    if (isShared && topic.format !== message.format) throw new RangeError("followed in another format");
    this.#topics.set(message.topic, topic);
    topic.format = message.format;
    topic.tabs.add(tab);
    // The server goes on from one position for all: not from a later one than the others have come to.
    const isLater =
      isShared &&
      topic.position !== null &&
      message.position !== undefined &&
      parse(topic.position).epoch === parse(message.position).epoch &&
      isBehind(topic.position, message.position);
    return isLater ? { ...message, position: topic.position } : message;
  }

  #unsubscribe(tab, name) {
    const topic = this.#topics.get(name);
    if (!topic?.tabs.delete(tab) || topic.tabs.size > 0) return null;
    this.#topics.delete(name);
    return { type: "unsubscribe", topic: name };
  }
}
