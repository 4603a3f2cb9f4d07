/** What a page says about its connection, for the client and for `early.js`. */

export const SUBPROTOCOL = "realtime.v1.json";
/** The key of `sessionStorage` for the name of the transport that worked. */
export const TRANSPORT_KEY = "realtime-transport";

/** @param {string} name @returns {string | undefined} the content of `<meta name="realtime-…">` */
function metaContent(name) {
  return document.querySelector(`meta[name="realtime-${name}"]`)?.getAttribute("content") ?? undefined;
}

/** The address of the WebSocket, by default that of the page's `<meta>`. @param {string} [path] */
export function socketUrl(path = metaContent("path") ?? "/realtime/ws/") {
  const url = new URL(path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * The name by which the tabs of a session share a connection; null if this page shares none.
 * @param {string} url - of the WebSocket
 */
export function sharedName(url) {
  // Pages of another session may not read what this one may; a page that does not name its session shares nothing.
  const session = metaContent("session");
  const canShare = session !== undefined && navigator.locks && window.BroadcastChannel;
  return canShare ? `realtime ${url} ${session}` : null;
}
