/** The page's entry: one connection, the elements that speak through it, and `window.realtime` for scripts. */

import { LiveNotices } from "./elements/live-notices.js";
import { LiveStatus } from "./elements/live-status.js";
import { LiveTopic } from "./elements/live-topic.js";
import { Realtime } from "./realtime.js";

const path = document.querySelector('meta[name="realtime-path"]')?.content ?? "/realtime/ws/";
const url = new URL(path, location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";

// Pages of another session must not hear what this one may; a page that does not say whose it is shares nothing.
const identity = document.querySelector('meta[name="realtime-session"]')?.content;
const canShare = identity !== undefined && navigator.locks && window.BroadcastChannel;

// Where a browser keeps nothing for a page it may refuse the very name.
let storage;
try {
  storage = sessionStorage;
} catch {
  storage = undefined;
}

const realtime = new Realtime({
  url: url.href,
  paths: {
    stream: new URL("../sse/", new URL(path, location.href)).href,
    topics: new URL("../topics/", new URL(path, location.href)).href,
    calls: new URL("../calls/", new URL(path, location.href)).href,
  },
  tabs: canShare ? { name: `realtime ${url.href} ${identity}`, locks: navigator.locks, BroadcastChannel } : undefined,
  WebSocket,
  EventSource,
  fetch: (...args) => fetch(...args),
  storage,
  // Called as plain functions: the browser's own insist on their window.
  setTimeout: (...args) => setTimeout(...args),
  clearTimeout: (timer) => clearTimeout(timer),
  now: () => Date.now(),
  random: () => Math.random(),
  target: window,
  checkPage: async () => (await fetch(location.href, { method: "HEAD", redirect: "manual" })).ok,
});

for (const [name, element] of [
  ["live-topic", LiveTopic],
  ["live-status", LiveStatus],
  ["live-notices", LiveNotices],
]) {
  element.realtime = realtime;
  customElements.define(name, element);
}
window.realtime = realtime;
realtime.start();

export default realtime;
