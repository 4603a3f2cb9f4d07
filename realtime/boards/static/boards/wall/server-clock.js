/** The server's time: the clocks of screens are often wrong. */

const AGAIN_MS = 30 * 60_000;

/** Milliseconds by which the server's clock is ahead of this page's. */
let aheadMs = 0;

/** How far the server's clock is ahead of this page's, in milliseconds. */
export function serverAhead() {
  return aheadMs;
}

/** @returns {number} milliseconds since 1970 */
export function serverNow() {
  return Date.now() + aheadMs;
}

/** Begin with the time that the page states; ask for it again every half hour, and when the page is shown again. */
export function followServerClock() {
  const { kept, ahead } = document.documentElement.dataset;
  const stated = document.querySelector('meta[name="server-time"]')?.getAttribute("content");
  const [request] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  const sinceMs = performance.now() - (request ? request.responseStart : 0);
  // The time in a copy is that at which its page was loaded.
  if (kept) aheadMs = Number(ahead ?? 0);
  else if (stated) aheadMs = Number(stated) * 1000 + sinceMs - Date.now();
  setInterval(ask, AGAIN_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") ask();
  });
}

async function ask() {
  try {
    const response = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    const timeMs = Number(response.headers.get("Server-Time")) * 1000;
    // The answer takes some time: a difference of less than two seconds is not reliable.
    if (timeMs && Math.abs(timeMs - serverNow()) > 2000) aheadMs = timeMs - Date.now();
  } catch {
    // Without a network the clock goes on as it is.
  }
}
