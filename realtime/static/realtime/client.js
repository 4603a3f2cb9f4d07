/**
 * The page's one connection, for bundlers and for scripts. Importing it does nothing, also where there is no page; the
 * first use connects. `live.js` and `live.min.js` connect when they are loaded.
 */

/**
 * The types of the public interface, which programs import from here: those of rows, with the type of their fields.
 *
 * @template [R=any]
 * @typedef {import("./protocol/messages.js").Row<R>} Row
 */

/**
 * @template [R=any]
 * @typedef {import("./realtime.js").Subscription<R>} Subscription
 */

/**
 * @template [R=any]
 * @typedef {import("./realtime.js").SubscribeOptions<R>} SubscribeOptions
 */

/**
 * @template [R=any]
 * @typedef {import("./topics/row-map.js").Handlers<R>} Handlers
 */

/**
 * @template [R=any]
 * @typedef {import("./topics/row-map.js").Options<R>} RowOptions
 */

/**
 * Those of everything else.
 *
 * @typedef {import("./protocol/messages.js").Change} Change
 * @typedef {import("./protocol/messages.js").Changes} Changes
 * @typedef {import("./protocol/messages.js").ErrorMessage} ErrorMessage
 * @typedef {import("./protocol/messages.js").Format} Format
 * @typedef {import("./protocol/messages.js").Refusal} Refusal
 * @typedef {import("./protocol/messages.js").ServerMessage} ServerMessage
 * @typedef {import("./protocol/messages.js").Snapshot} Snapshot
 * @typedef {import("./realtime.js").Events} Events
 * @typedef {import("./realtime.js").Presence} Presence
 * @typedef {import("./realtime.js").PresenceHandlers} PresenceHandlers
 * @typedef {import("./realtime.js").Realtime} Realtime - what `connect` returns
 * @typedef {import("./realtime.js").StatusHandler} StatusHandler
 * @typedef {import("./realtime.js").SubscriptionStatus} SubscriptionStatus
 * @typedef {import("./status.js").PageState} PageState
 * @typedef {import("./status.js").Status} Status
 * @typedef {import("./topics/topic.js").FollowerState} FollowerState
 * @typedef {import("./topics/topic.js").Received} Received
 * @typedef {import("./topics/topic.js").TopicState} TopicState
 * @typedef {import("./topics/topic.js").TopicStatus} TopicStatus
 * @typedef {import("./topics/viewers.js").Viewers} Viewers
 * @typedef {import("./transports/calls.js").CallOptions} CallOptions
 * @typedef {import("./transports/connection.js").State} ConnectionState
 * @typedef {import("./transports/connection.js").Status} ConnectionStatus
 * @typedef {import("./transports/fallback.js").TransportName} TransportName
 */

import { watchHosts } from "./elements/hosts.js";
import { claimPolicy, parsePage } from "./elements/html.js";
import { LiveBlock } from "./elements/live-block.js";
import { LiveDigest } from "./elements/live-digest.js";
import { LiveNotices } from "./elements/live-notices.js";
import { LiveStatus } from "./elements/live-status.js";
import { LiveTopic } from "./elements/live-topic.js";
import { LiveViewers } from "./elements/live-viewers.js";
import { PageFetches } from "./elements/page-fetches.js";
import { reportSelects } from "./elements/placement.js";
import { TopicHost } from "./elements/topic-host.js";
import { Realtime as Connected } from "./realtime.js";
import { takeEarly } from "./transports/early.js";
import { sharedName, socketUrl } from "./transports/page.js";

const FETCH_MS = 30_000;

class FetchError extends Error {
  /** @param {Response} response */
  constructor({ status, headers }) {
    super(`the page answers ${status}`);
    /** The time until a busy server can be asked again. */
    this.retryMs = 1000 * Number(headers.get("Retry-After") ?? 0) || 0;
  }
}

/**
 * @typedef {object} PageOptions - of the page's connection
 * @property {string} [path] - of the server's WebSocket, by default that of `<meta name="realtime-path">`
 */

/**
 * The rows of a topic that `{% live_rows %}` has put into the page.
 * @param {string} topic
 * @returns {{position: string, rows: Row[]} | null}
 */
function paintedRows(topic) {
  const script = document.querySelector(`script[data-realtime-rows="${CSS.escape(topic)}"]`);
  const position = script?.getAttribute("data-realtime-position");
  return script && position ? { position, rows: JSON.parse(script.textContent ?? "[]") } : null;
}

/**
 * Fetch this page again, as the server renders it now.
 * @param {string[]} names - of the blocks that need it
 */
async function fetchPage(names) {
  const leave = new AbortController();
  const timer = setTimeout(() => leave.abort(), FETCH_MS);
  try {
    const headers = { Accept: "text/html", "Realtime-Block": names.map(encodeURIComponent).join(",") };
    const response = await fetch(location.href, { headers, cache: "no-store", signal: leave.signal });
    // A redirect leads to another page, such as the one to sign in.
    if (response.redirected) throw new Error(`the page redirects to ${response.url}`);
    if (!response.ok) throw new FetchError(response);
    return parsePage(await response.text());
  } catch (error) {
    throw leave.signal.aborted ? new Error(`the page has not answered within ${FETCH_MS / 1000} s`) : error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Define the elements, and open the page's connection.
 * @param {PageOptions} options
 */
function open({ path }) {
  const url = socketUrl(path);
  const base = url.replace("ws", "http");
  const name = sharedName(url);

  // A browser that forbids storage may throw when the property is read.
  /** @type {Storage | undefined} */
  let storage;
  try {
    storage = sessionStorage;
  } catch {
    storage = undefined;
  }

  const realtime = new Connected({
    url,
    paths: {
      stream: new URL("../sse/", base).href,
      topics: new URL("../topics/", base).href,
      calls: new URL("../calls/", base).href,
    },
    tabs: name === null ? undefined : { name, locks: navigator.locks, BroadcastChannel },
    WebSocket,
    takeEarly: () => takeEarly(url),
    EventSource,
    // Wrapped, because the browser's own functions must be called with their window as `this`.
    fetch: (...args) => fetch(...args),
    setTimeout: (action, ms) => setTimeout(action, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    storage,
    // When the request for the page began, so that its rows are at least as new.
    loadedAt: performance.timeOrigin,
    painted: paintedRows,
    reload: () => {
      if (window.dispatchEvent(new CustomEvent("realtime:reload", { cancelable: true }))) location.reload();
    },
    now: () => Date.now(),
    random: () => Math.random(),
    target: window,
    checkPage: async () => (await fetch(location.href, { method: "HEAD", redirect: "manual" })).ok,
  });

  claimPolicy();
  LiveTopic.realtime = LiveStatus.realtime = LiveNotices.realtime = LiveViewers.realtime = realtime;
  customElements.define("live-topic", LiveTopic);
  customElements.define("live-status", LiveStatus);
  customElements.define("live-digest", LiveDigest);
  customElements.define("live-notices", LiveNotices);
  customElements.define("live-viewers", LiveViewers);
  Object.assign(window, { realtime });
  realtime.start();
  const fetches = new PageFetches({
    fetchPage,
    setTimeout: (action, ms) => setTimeout(action, ms),
    now: () => Date.now(),
    random: () => Math.random(),
    document,
  });
  watchHosts(document, {
    "data-realtime-topic": (element) => new TopicHost(element, realtime, "data-realtime-"),
    "data-realtime-block": (element) => new LiveBlock(element, realtime, fetches),
  });
  reportSelects(realtime);
  return realtime;
}

/**
 * Return the page's connection; open it, unless the page has one. All copies of the client use the same one.
 * @param {PageOptions} options - only those of the first call count
 * @returns {Realtime}
 * @throws {Error} where there is no page, such as in a server that renders components
 */
export function connect(options = {}) {
  if (typeof document === "undefined") {
    throw new Error("realtime: there is no page to connect; call this in the browser only, such as in an effect.");
  }
  // Not window.realtime: until a script sets it, it is the element that has this id, if the page has one.
  const defined = /** @type {typeof LiveTopic | undefined} */ (customElements.get("live-topic"));
  return defined?.realtime ?? open(options);
}

/**
 * Follow a topic; see `Realtime.subscribe`.
 * @template [R=any] - the type of the rows' fields
 * @param {string} topic
 * @param {SubscribeOptions<R>} [options]
 * @returns {Subscription<R>}
 */
export function subscribe(topic, options) {
  return connect().subscribe(topic, options);
}

/**
 * Run an action on the server; see `Realtime.call`.
 * @param {string} action
 * @param {object} [args]
 * @param {CallOptions} [options]
 * @returns {Promise<unknown>}
 */
export function call(action, args, options) {
  return connect().call(action, args, options);
}

/**
 * Send a message to the other viewers of a topic; see `Realtime.broadcast`.
 * @param {string} topic
 * @param {string} event - its name, for receivers
 * @param {unknown} [payload] - a JSON value, an ArrayBuffer or a view of one
 * @returns {void}
 */
export function broadcast(topic, event, payload) {
  connect().broadcast(topic, event, payload);
}

/**
 * Get the viewers of a topic; see `Realtime.presence`.
 * @param {string} topic
 * @param {PresenceHandlers} [handlers]
 * @returns {Presence}
 */
export function presence(topic, handlers) {
  return connect().presence(topic, handlers);
}

export { CallError } from "./transports/calls.js";
