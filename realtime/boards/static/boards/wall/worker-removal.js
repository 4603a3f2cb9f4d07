/** Takes the place of worker.js where the server wants no copies: it removes the copies, and then itself. */

const removal = /** @type {any} */ (self);

removal.addEventListener("install", () => removal.skipWaiting());
removal.addEventListener("activate", (/** @type {any} */ event) =>
  event.waitUntil(caches.delete("boards-walls").then(() => removal.registration.unregister())),
);
