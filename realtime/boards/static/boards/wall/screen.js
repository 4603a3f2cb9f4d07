/** A screen that is run from a desk: it follows the row with its orders, and reports its size and build. */

/** @import { Realtime } from "../../../../static/realtime/realtime.js" */

import { reloadWhenReachable, remember, remembered } from "./reload.js";
import { serverNow } from "./server-clock.js";

const OBEYED = "boards-screen-orders";
// A page that differs from its orders after it has loaded again does so slowly, not in a loop.
const PAUSE_MS = 60_000;
// The row of this screen was deleted, or given to another one: the page asks for a new code.
const GONE = "gone";

const holder = /** @type {HTMLElement | null} */ (document.querySelector("[data-screen]"));
const nameplate = /** @type {HTMLElement | null} */ (document.querySelector(".screen-name"));
let reported = "";

/** Carry out the present orders, and report. Called each second, and after each message. @param {Realtime} realtime */
export function followDesk(realtime) {
  if (!holder || !nameplate) return;
  const row = /** @type {HTMLElement | null} */ (holder.querySelector("[data-orders]"));
  const topic = `screens.${holder.dataset.screen}`;
  const { state } = realtime.status.topics[topic] ?? {};
  if (state === "live") obey(row?.dataset.orders ?? "");
  if (state === "refused") obey(GONE);
  const isNamed = row !== null && serverNow() / 1000 < Number(row.dataset.identifyUntil || 0);
  if (nameplate.hidden === isNamed) nameplate.hidden = !isNamed;
  if (isNamed && nameplate.textContent !== row.dataset.name) nameplate.textContent = row.dataset.name ?? "";
  if (state === "live") report(realtime);
}

/** @param {string} orders */
function obey(orders) {
  if (orders === holder?.dataset.orders) return;
  const [last, at] = (remembered(OBEYED) ?? "").split("\n");
  if (last === orders && Date.now() - Number(at) < PAUSE_MS) return;
  if (remember(OBEYED, `${orders}\n${Date.now()}`)) reloadWhenReachable();
}

/** @param {Realtime} realtime */
function report(realtime) {
  const ratio = devicePixelRatio || 1;
  const size = `${Math.round(innerWidth * ratio)}x${Math.round(innerHeight * ratio)}`;
  const version = document.querySelector('meta[name="board-build"]')?.getAttribute("content") ?? "";
  if (reported === `${size} ${version}`) return;
  reported = `${size} ${version}`;
  realtime.call("screens.report", { screen: holder?.dataset.screen, size, version }).catch(() => {
    // The next page reports again.
  });
}
