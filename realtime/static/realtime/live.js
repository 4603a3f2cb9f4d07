/**
 * The page's entry point: one connection, the elements that use it, and `window.realtime` for scripts. `live.min.js` is the
 * same in one file. A page may load both, or one of them twice: the copy that runs first opens the connection, and all
 * copies export it.
 */

import { claimPolicy } from "./elements/html.js";
import { LiveNotices } from "./elements/live-notices.js";
import { LiveStatus } from "./elements/live-status.js";
import { LiveTopic } from "./elements/live-topic.js";
import { reportSelects } from "./elements/placement.js";
import { Realtime } from "./realtime.js";

/** @param {string} name */
function metaContent(name) {
  return document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? undefined;
}

/** Define the elements, and connect. */
function start() {
  const path = metaContent("realtime-path") ?? "/realtime/ws/";
  const base = new URL(path, location.href);
  const url = new URL(base);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";

  // Pages of another session may not read what this one may; a page that does not name its session shares nothing.
  const session = metaContent("realtime-session");
  const canShare = session !== undefined && navigator.locks && window.BroadcastChannel;

  // A browser that forbids storage may throw when the property is read.
  /** @type {Storage | undefined} */
  let storage;
  try {
    storage = sessionStorage;
  } catch {
    storage = undefined;
  }

  const realtime = new Realtime({
    url: url.href,
    paths: {
      stream: new URL("../sse/", base).href,
      topics: new URL("../topics/", base).href,
      calls: new URL("../calls/", base).href,
    },
    tabs: canShare ? { name: `realtime ${url.href} ${session}`, locks: navigator.locks, BroadcastChannel } : undefined,
    WebSocket,
    EventSource,
    // Wrapped, because the browser's own functions must be called with their window as `this`.
    fetch: (...args) => fetch(...args),
    setTimeout: (action, ms) => setTimeout(action, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    storage,
    // When the request for the page began, so that its rows are at least as new.
    loadedAt: performance.timeOrigin,
    reload: () => {
      if (window.dispatchEvent(new CustomEvent("realtime:reload", { cancelable: true }))) location.reload();
    },
    now: () => Date.now(),
    random: () => Math.random(),
    target: window,
    checkPage: async () => (await fetch(location.href, { method: "HEAD", redirect: "manual" })).ok,
  });

  claimPolicy();
  LiveTopic.realtime = LiveStatus.realtime = LiveNotices.realtime = realtime;
  customElements.define("live-topic", LiveTopic);
  customElements.define("live-status", LiveStatus);
  customElements.define("live-notices", LiveNotices);
  Object.assign(window, { realtime });
  realtime.start();
  reportSelects(realtime);
  return realtime;
}

// Not window.realtime: until a script sets it, it is the element that has this id, if the page has one.
const defined = /** @type {typeof LiveTopic | undefined} */ (customElements.get("live-topic"));
const realtime = defined?.realtime ?? start();

export default realtime;
