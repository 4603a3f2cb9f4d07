/**
 * A page whose server, clock, random numbers and window events are controlled by the test, through the globals below.
 * `connect()` opens the connection; the elements are those of the product.
 */

import { watchHosts } from "/static/realtime/elements/hosts.js";
import { parsePage } from "/static/realtime/elements/html.js";
import { LiveBlock } from "/static/realtime/elements/live-block.js";
import { LiveDigest } from "/static/realtime/elements/live-digest.js";
import { LiveNotices } from "/static/realtime/elements/live-notices.js";
import { LiveStatus } from "/static/realtime/elements/live-status.js";
import { LiveTopic } from "/static/realtime/elements/live-topic.js";
import { LiveViewers } from "/static/realtime/elements/live-viewers.js";
import { PageFetches } from "/static/realtime/elements/page-fetches.js";
import { reportSelects } from "/static/realtime/elements/placement.js";
import { TopicHost } from "/static/realtime/elements/topic-host.js";
import { Realtime } from "/static/realtime/realtime.js";
import { delay } from "/static/realtime/transports/backoff.js";
import { FakeClock } from "./fake-clock.js";
import { FakeSocket } from "./fake-socket.js";

const clock = new FakeClock();
const target = Object.assign(new EventTarget(), {
  document: { visibilityState: "visible" },
  navigator: { onLine: true },
});
// The page of the live blocks: `world.served` is what the server would render, null for an error.
const world = { served: null, fetches: [], random: 0.5, pageAnswers: async () => true, pageChecks: 0, reloads: 0 };
const stored = new Map();
const storage = {
  getItem: (key) => stored.get(key) ?? null,
  setItem: (key, value) => stored.set(key, value),
};
const realtime = new Realtime({
  url: "ws://fake/realtime/ws/",
  WebSocket: FakeSocket,
  setTimeout: clock.setTimeout,
  clearTimeout: clock.clearTimeout,
  now: clock.now,
  random: () => world.random,
  target,
  // For reloads only: remembered transports have tests with real servers.
  storage,
  reload: () => world.reloads++,
  checkPage: () => {
    world.pageChecks++;
    return world.pageAnswers();
  },
});

LiveTopic.realtime = LiveStatus.realtime = LiveNotices.realtime = LiveViewers.realtime = realtime;
customElements.define("live-topic", LiveTopic);
customElements.define("live-status", LiveStatus);
customElements.define("live-digest", LiveDigest);
customElements.define("live-notices", LiveNotices);
customElements.define("live-viewers", LiveViewers);

const fetches = new PageFetches({
  fetchPage: async (names) => {
    world.fetches.push(names.join());
    const answer = await world.served;
    if (answer === null) throw Object.assign(new Error("the page answers 500"), { retryMs: world.retryMs });
    return parsePage(answer);
  },
  setTimeout: clock.setTimeout,
  now: clock.now,
  random: () => world.random,
  document: Object.assign(target, { visibilityState: "visible" }),
});
watchHosts(document, {
  "data-realtime-topic": (element) => new TopicHost(element, realtime, "data-realtime-"),
  "data-realtime-block": (element) => new LiveBlock(element, realtime, fetches),
});

const row = (key, order = key, text = `row ${key}`) => ({ key, order, row: { text } });
const tr = (key, order = key, text = `row ${key}`, digest = undefined) =>
  `<tr data-key="${key}" data-order="${order}"${digest === undefined ? "" : ` data-digest="${digest}"`}><td>${text}</td></tr>`;
const html = (key, order = key, text = undefined) => ({ key, order, html: tr(key, order, text) });

Object.assign(window, {
  FakeSocket,
  clock,
  delay,
  html,
  realtime,
  reportSelects: () => reportSelects(realtime),
  row,
  stored,
  target,
  tr,
  world,
  server: () => FakeSocket.last,
  connect: () => {
    realtime.start();
    return FakeSocket.last.accepts();
  },
  fire: (type, fields = {}) => target.dispatchEvent(Object.assign(new Event(type), fields)),
  upsert: (each) => ({ op: "upsert", ...each }),
  remove: (key) => ({ op: "delete", key }),
  changes: (after, to, list, topic = "t", digest = undefined) => ({
    type: "changes",
    topic,
    after,
    position: `e.${to}`,
    changes: list,
    ...(digest === undefined ? {} : { digest }),
  }),
  snapshot: (at, rows, more = false, topic = "t") => ({ type: "snapshot", topic, position: `e.${at}`, rows, more }),
  heartbeat: (positions = {}, fields = {}) => ({ type: "heartbeat", positions, ...fields }),
  refuse: (code = 4403, message = "no", topic = "t") => ({ type: "error", code, message, topic }),
  /** Add rows to the page as the server renders them. */
  paint: (rows, position = "e.10", topic = "t") => {
    document.body.insertAdjacentHTML(
      "beforeend",
      `<live-topic topic="${topic}" ${position ? `position="${position}"` : ""}>
      <table><thead><tr><th>text</th></tr></thead><tbody data-rows>${rows.join("")}</tbody></table>
      <p data-empty ${rows.length ? "hidden" : ""}>Nothing here yet.</p></live-topic>`,
    );
    return document.body.lastElementChild;
  },
  texts: () => [...document.querySelectorAll("tbody td")].map((cell) => cell.textContent),
  /** The position of all topics of the page, null if they differ. */
  position: () => {
    const found = new Set([...document.querySelectorAll("live-topic")].map((topic) => topic.getAttribute("position")));
    return found.size === 1 ? [...found][0] : null;
  },
});
document.documentElement.dataset.ready = "";
