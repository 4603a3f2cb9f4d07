/** A wall: the pages of each of its boards in turn, its clock, and a band with the time since which the server is away. */

/** @import { Realtime } from "../../../../static/realtime/realtime.js" */

import "../board-time.js";
import "../headings.js";
import { text } from "../texts.min.js";
import { WallBoard } from "./board.js";
import { followBuild } from "./build.js";
import { keepCopy, startWorker } from "./copies.js";
import { reloadWhenReachable } from "./reload.js";
import { followDesk } from "./screen.js";
import { followServerClock, serverAhead, serverNow } from "./server-clock.js";
import { clock, isBetween, weekday } from "./zones.js";

// A healthy server sends something at least every 15 seconds.
const SILENCE_MS = 15_000;
// No band for the moment in which a page reconnects after its server was restarted.
const NOTICE_MS = 60_000;
const DAY_MS = 86_400_000;

const root = document.documentElement;
const boards = [...document.querySelectorAll(".wall-board")].map(
  (element) => new WallBoard(/** @type {HTMLElement} */ (element)),
);
const band = /** @type {HTMLElement} */ (document.querySelector(".wall-band"));
const night = /** @type {HTMLElement | null} */ (document.querySelector(".wall-night"));
const secondsPerPage = Number(root.dataset.seconds) || 12;

let shown = 0;
let turnedAt = performance.now();
/** @type {Realtime | undefined} */
let realtime;

/** Show the next page of this board, or the first one of the next board that has rows. */
function turn() {
  turnedAt = performance.now();
  if (boards[shown].turn()) return;
  const order = boards.map((_, index) => (shown + 1 + index) % boards.length);
  shown = order.find((index) => boards[index].hasRows) ?? shown;
  boards.forEach((board, index) => {
    board.isShown = index === shown;
  });
  boards[shown].begin();
}

/** Say since when the rows are as they are, if that is long ago. @param {Realtime} realtime */
function showBand(realtime) {
  const { state, since } = realtime.status;
  root.dataset.state = state;
  if (state === "live") delete root.dataset.kept;
  const [now, keptAt] = [realtime.now, Number(root.dataset.kept)];
  const isOld = state !== "live" && state !== "refused" && (keptAt || (since !== null && now - since >= SILENCE_MS));
  const isAway = !["behind", "stale", "misplaced"].includes(state);
  // The page's clock says how long ago, the server's what time that was.
  const at = keptAt ? keptAt + serverAhead() : serverNow() - (now - (since ?? now));
  const words = isOld
    ? isAway
      ? text("No connection since {time}", { time: timeOf(at) })
      : text("Not current since {time}", { time: timeOf(at) })
    : "";
  if (band.textContent !== words) band.textContent = words;
  if (band.hidden === (words !== "")) {
    band.hidden = words === "";
    boards[shown]?.layOut();
  }
}

/** "14:02", and the day if that is more than twelve hours ago. @param {number} at - the server's time */
function timeOf(at) {
  const zone = boards[shown]?.zone ?? { name: "UTC", offsetSeconds: 0 };
  return serverNow() - at < DAY_MS / 2 ? clock(zone, at) : `${weekday(zone, at)} ${clock(zone, at)}`;
}

function tick() {
  if (!realtime) begin();
  if (realtime) {
    showBand(realtime);
    followDesk(realtime);
    keepCopy(realtime.status.state, serverAhead());
  }
  if (boards.length > 0) showBoards();
}

/** When the page client has been loaded. */
function begin() {
  ({ realtime } = /** @type {{realtime?: Realtime}} */ (
    /** @type {unknown} */ (customElements.get("live-topic") ?? {})
  ));
  if (realtime) followBuild(realtime);
}

function showBoards() {
  if (performance.now() - turnedAt >= secondsPerPage * 1000 || !boards[shown].hasRows) turn();
  for (const board of boards) board.showTime(serverNow());
  const { dimFrom = "", dimUntil = "" } = root.dataset;
  if (night) night.hidden = !isBetween(boards[shown].zone, serverNow(), dimFrom, dimUntil);
}

/** Keep the screen on; the browser lets go of it whenever the page is hidden. */
async function keepScreenOn() {
  const { wakeLock } = /** @type {{wakeLock?: {request: (kind: string) => Promise<unknown>}}} */ (
    /** @type {unknown} */ (navigator)
  );
  if (document.visibilityState !== "visible") return;
  // Refused where the battery is low, and on pages without TLS it does not exist.
  await wakeLock?.request("screen").catch(() => {});
}

/** A wall has no reader who could dismiss a notice. @param {MutationRecord[]} records */
function expireNotices(records) {
  for (const { addedNodes } of records) {
    for (const node of addedNodes) setTimeout(() => node.parentNode?.removeChild(node), NOTICE_MS);
  }
}

root.classList.add("wall-fits");
followServerClock();
const notices = document.querySelector("live-notices");
if (notices) new MutationObserver(expireNotices).observe(notices, { childList: true });
boards.forEach((board, index) => {
  board.isShown = index === shown;
});
boards[shown]?.begin();
for (const type of ["applied", "corrected", "error"]) {
  document.addEventListener(`realtime:${type}`, () => {
    boards[shown]?.layOut();
    if (realtime) followDesk(realtime);
  });
}
window.addEventListener("resize", () => boards[shown]?.layOut());
document.addEventListener("visibilitychange", keepScreenOn);
document.addEventListener("click", () => root.requestFullscreen?.().catch(() => {}));
keepScreenOn();
startWorker();
if (root.dataset.again) setTimeout(reloadWhenReachable, Number(root.dataset.again) * 1000);
tick();
setInterval(tick, 1000);
