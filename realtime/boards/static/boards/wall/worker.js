/**
 * The service worker of one wall: the network first, and the copy where the network does not answer. It serves no other
 * pages: a wall registers it for its own address. The server replaces it by worker-removal.js to switch it off.
 */

const CACHE = "boards-walls";
const PATIENCE_MS = 10_000;
const MAX_FILES = 60;
const AGAIN_SECONDS = 15;

const worker = /** @type {any} */ (self);

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (["style", "script", "image"].includes(request.destination)) event.respondWith(file(request));
});

/** @param {Request} request */
async function page(request) {
  const cache = await caches.open(CACHE);
  const copy = await cache.match(request);
  const response = await fromNetwork(request, copy !== undefined);
  if (response === null || response.status >= 500) return copy ? shown(copy) : notYet();
  if (response.ok && response.headers.get("Wall-Copy") === "keep") {
    await cache.put(request, await stamped(response.clone()));
  } else if (response.status !== 429) {
    await cache.delete(request);
  }
  return response;
}

/** @param {Request} request */
async function file(request) {
  const cache = await caches.open(CACHE);
  const copy = await cache.match(request);
  const response = await fromNetwork(request, copy !== undefined);
  if (response === null || response.status >= 500) return copy ?? response ?? Response.error();
  if (response.ok) {
    await cache.put(request, response.clone());
    await prune(cache);
  }
  return response;
}

/**
 * The answer of the server; null if there is none, or none soon where there is a copy.
 * @param {Request} request @param {boolean} isKept
 * @returns {Promise<Response | null>}
 */
async function fromNetwork(request, isKept) {
  const answer = fetch(request).catch(() => null);
  if (!isKept) return await answer;
  return await Promise.race([answer, new Promise((resolve) => setTimeout(() => resolve(null), PATIENCE_MS))]);
}

/** The page with the time at which it was kept. @param {Response} response */
async function stamped(response) {
  const headers = new Headers(response.headers);
  headers.set("Kept-At", String(Date.now()));
  return new Response(await response.blob(), { headers });
}

/** A copy that contains its age. @param {Response} copy */
async function shown(copy) {
  const html = await copy.text();
  const keptAt = Number(copy.headers.get("Kept-At"));
  return new Response(html.replace("<html ", `<html data-kept="${keptAt}" `), { headers: copy.headers });
}

/** The page of a screen that is switched on while the network is away, and has no copy. */
function notYet() {
  const title = text("No connection");
  const words = `<h1>${title}</h1><p>${text("This page tries again every few seconds.")}</p>`;
  const head = `<meta charset="utf-8"><meta http-equiv="refresh" content="${AGAIN_SECONDS}"><title>${title}</title>`;
  return new Response(
    `<!doctype html><html lang="${worker.language ?? "en-GB"}"><head>${head}</head><body>${words}</body></html>`,
    {
      status: 503,
      headers: { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'" },
    },
  );
}

/** A text in the language of the site; the server writes the translations before this script. @param {string} english @returns {string} */
function text(english) {
  return worker.texts?.[english] ?? english;
}

/** Delete the files of former builds. @param {Cache} cache */
async function prune(cache) {
  const kept = await cache.keys();
  const files = kept.filter((request) => /\.\w+$/.test(new URL(request.url).pathname));
  for (const request of files.slice(0, Math.max(0, files.length - MAX_FILES))) await cache.delete(request);
}
