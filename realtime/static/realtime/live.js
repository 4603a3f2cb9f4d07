/** The page's entry: one connection, the elements that speak through it, and `window.realtime` for scripts. */

import { LiveNotices } from "./live-notices.js";
import { LiveStatus } from "./live-status.js";
import { LiveTopic } from "./live-topic.js";
import { Realtime } from "./realtime.js";

const path = document.querySelector('meta[name="realtime-path"]')?.content ?? "/realtime/ws/";
const url = new URL(path, location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const realtime = new Realtime({
  url: url.href,
  paths: {
    stream: new URL("../sse/", new URL(path, location.href)).href,
    topics: new URL("../topics/", new URL(path, location.href)).href,
    calls: new URL("../calls/", new URL(path, location.href)).href,
  },
  WebSocket,
  EventSource,
  fetch: (...args) => fetch(...args),
  storage: sessionStorage,
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
