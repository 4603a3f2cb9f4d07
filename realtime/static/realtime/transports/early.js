/**
 * The WebSocket of a page whose client is still being loaded. `{% realtime_head early=True %}` puts `early.js` into the
 * page, which opens it with the page's topics in its address; `socket.js` takes it, with what it has received. What fails
 * here leaves no trace: the client connects as without it.
 */

/** @import { Subscribe } from "../protocol/messages.js" */

import { SUBPROTOCOL, sharedName, socketUrl, TRANSPORT_KEY } from "./page.js";

// A connection that nobody takes: the client was not loaded, or uses that of another tab.
const KEPT_MS = 15_000;
// An address has little room.
const MAX_TOPICS = 20;
const OPEN = 1;
// Where the server has rendered rows: the element, and the prefix of its attributes.
const HOSTS = { "live-topic": "", "[data-realtime-topic]": "data-realtime-" };

/**
 * @typedef {object} EarlySocket
 * @property {WebSocket} socket
 * @property {string} url - without the topics
 * @property {string[]} received - its messages, oldest first
 * @property {Map<string, Subscribe>} sent - what its address stands for, by topic
 */

/** Where the page holds it, because `early.js` and the client are two scripts. */
function holder() {
  return /** @type {Window & {realtimeEarly?: EarlySocket}} */ (window);
}

/** Open the page's connection, if the client will use a WebSocket of its own. */
export async function openEarly() {
  const url = socketUrl();
  const name = sharedName(url);
  if ((sessionStorage[TRANSPORT_KEY] ?? "websocket") !== "websocket") return;
  const locks = name === null ? null : await navigator.locks.query();
  if (locks?.held?.some((lock) => lock.name === name)) return;

  const sent = paintedTopics();
  const socket = new WebSocket(sent.size > 0 ? `${url}?${query([...sent.values()])}` : url, SUBPROTOCOL);
  /** @type {EarlySocket} */
  const early = { socket, url, received: [], sent };
  holder().realtimeEarly = early;
  socket.onmessage = ({ data }) => early.received.push(data);
  setTimeout(() => takeEarly(""), KEPT_MS);
}

/** The topics that the page has by now, as its elements will subscribe to them: the client subscribes to the others. */
function paintedTopics() {
  /** @type {EarlySocket["sent"]} */
  const found = new Map();
  for (const [name, prefix] of Object.entries(HOSTS)) {
    for (const element of document.querySelectorAll(`${name}[${prefix}position]`)) {
      const [topic, position] = ["topic", "position"].map((each) => element.getAttribute(prefix + each) ?? "");
      if (found.size < MAX_TOPICS) found.set(topic, { type: "subscribe", topic, format: "html", position });
    }
  }
  return found;
}

/** @param {Subscribe[]} subscriptions */
function query(subscriptions) {
  const topics = subscriptions.map(({ topic }) => `topic=${encodeURIComponent(topic)}`);
  return `${topics.join("&")}&format=html&since=${subscriptions.map(({ position }) => position).join(",")}`;
}

/**
 * Return the early connection, once; close it if it is not to this URL.
 * @param {string} url
 * @returns {EarlySocket | null} null if there is none that can be used
 */
export function takeEarly(url) {
  const early = holder().realtimeEarly;
  if (!early) return null;
  holder().realtimeEarly = undefined;
  if (early.socket.readyState <= OPEN && early.url === url) return early;
  early.socket.close(1000);
  return null;
}
