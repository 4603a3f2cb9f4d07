/**
 * Pages of another build than the server's load again: within a minute after they have connected again, so that not all
 * of them ask at once, at most once an hour, and not while a user types.
 */

/** @import { Realtime } from "../../../../static/realtime/realtime.js" */

import { reloadWhenReachable, remember, remembered } from "./reload.js";

const SPREAD_MS = 60_000;
const PAUSE_MS = 3_600_000;
const TYPING_MS = 5_000;
const RELOADED = "boards-reloaded";

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Ask for the build after each connection but the first one; after the first one too if the page is a copy.
 * @param {Realtime} realtime
 */
export function followBuild(realtime) {
  const isCopy = document.documentElement.dataset.kept !== undefined;
  let wasLive = realtime.status.state === "live";
  let connections = wasLive ? 1 : 0;
  const look = () => {
    const isLive = realtime.status.state === "live";
    if (isLive && !wasLive) connections += 1;
    if (isLive && !wasLive && (connections > 1 || isCopy)) plan(SPREAD_MS * Math.random(), isCopy);
    wasLive = isLive;
  };
  realtime.on("status", look);
  if (wasLive && isCopy) plan(SPREAD_MS * Math.random(), isCopy);
}

/** @param {number} afterMs @param {boolean} isCopy */
function plan(afterMs, isCopy) {
  clearTimeout(timer);
  timer = setTimeout(() => compare(isCopy), afterMs);
}

/** @param {boolean} isCopy */
async function compare(isCopy) {
  const own = document.querySelector('meta[name="board-build"]');
  const build = await ask(own?.getAttribute("data-address") ?? "");
  if (build === null || (build === own?.getAttribute("content") && !isCopy)) return;
  const nextAt = Number(remembered(RELOADED) ?? 0) + PAUSE_MS;
  if (Date.now() < nextAt) plan(nextAt - Date.now() + SPREAD_MS * Math.random(), isCopy);
  else if (isTyping()) plan(TYPING_MS, isCopy);
  // A tab that cannot store the time of its last reload would load again and again.
  else if (remember(RELOADED, String(Date.now()))) await reloadWhenReachable();
}

/** @param {string} address @returns {Promise<string | null>} */
async function ask(address) {
  try {
    const response = await fetch(address, { cache: "no-store" });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  }
}

/** Whether a field has the focus, or holds what has not been sent. */
function isTyping() {
  const fields = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input, textarea"));
  const isFocused = document.activeElement?.matches("input, textarea, select, [contenteditable]");
  return isFocused || document.querySelector("dialog[open]") !== null || [...fields].some(isChanged);
}

/** @param {HTMLInputElement} field */
function isChanged({ type, value, defaultValue, checked, defaultChecked }) {
  if (type === "hidden") return false;
  return type === "checkbox" || type === "radio" ? checked !== defaultChecked : value !== defaultValue;
}
