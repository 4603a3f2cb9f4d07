/** A wall: the pages of each of its boards in turn, its clock, and a band that says since when the server is away. */

/** @import { Realtime } from "../../../../static/realtime/realtime.js" */

import { WallBoard } from "./board.js";
import { followServerClock, serverNow } from "./server-clock.js";
import { clock, isBetween } from "./zones.js";

// A healthy server sends something at least every 15 seconds.
const SILENCE_MS = 15_000;
// No band for the moment in which a page reconnects after its server was restarted.
const NOTICE_MS = 60_000;

const root = document.documentElement;
const boards = [...document.querySelectorAll(".wall-board")].map(
  (element) => new WallBoard(/** @type {HTMLElement} */ (element)),
);
const band = /** @type {HTMLElement} */ (document.querySelector(".wall-band"));
const night = /** @type {HTMLElement} */ (document.querySelector(".wall-night"));
const secondsPerPage = Number(root.dataset.seconds) || 12;

let shown = 0;
let turnedAt = performance.now();

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

/** @param {Realtime} realtime */
function showBand(realtime) {
  const { state, since } = realtime.status;
  const [now, zone] = [realtime.now, boards[shown].zone];
  root.dataset.state = state;
  const isLong = state !== "live" && state !== "refused" && since !== null && now - since >= SILENCE_MS;
  const isAway = !["behind", "stale", "misplaced"].includes(state);
  // The page's clock says how long ago, the server's what time that was.
  const words = isLong
    ? `${isAway ? "No connection" : "Not current"} since ${clock(zone, serverNow() - (now - since))}`
    : "";
  if (band.textContent !== words) band.textContent = words;
  if (band.hidden === isLong) {
    band.hidden = !isLong;
    boards[shown].layOut();
  }
}

function tick() {
  const realtime = /** @type {{realtime?: Realtime} | undefined} */ (
    /** @type {unknown} */ (customElements.get("live-topic"))
  )?.realtime;
  if (realtime) showBand(realtime);
  if (performance.now() - turnedAt >= secondsPerPage * 1000 || !boards[shown].hasRows) turn();
  for (const board of boards) board.showTime(serverNow());
  const { dimFrom = "", dimUntil = "" } = root.dataset;
  night.hidden = !isBetween(boards[shown].zone, serverNow(), dimFrom, dimUntil);
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

/** A wall has no one who dismisses a notice. @param {MutationRecord[]} records */
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
boards[shown].begin();
for (const type of ["applied", "corrected", "error"]) {
  document.addEventListener(`realtime:${type}`, () => boards[shown].layOut());
}
window.addEventListener("resize", () => boards[shown].layOut());
document.addEventListener("visibilitychange", keepScreenOn);
document.addEventListener("click", () => root.requestFullscreen?.().catch(() => {}));
keepScreenOn();
tick();
setInterval(tick, 1000);
