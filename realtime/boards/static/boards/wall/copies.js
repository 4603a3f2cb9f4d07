/**
 * The copy of a wall that its service worker shows while the network is away: the page as it is now, with its rows. Of
 * boards that are not public there is none.
 */

const CACHE = "boards-walls";
const EVERY_MS = 60_000;
const KEPT_HEADERS = [
  "Content-Security-Policy",
  "Content-Type",
  "Referrer-Policy",
  "X-Content-Type-Options",
  "X-Frame-Options",
];

const root = document.documentElement;
/** @type {{createPolicy: (name: string, rules: object) => {createScriptURL: (url: string) => string}} | undefined} */
const trustedTypes = Reflect.get(globalThis, "trustedTypes");
let keptAt = Number.NEGATIVE_INFINITY;

/** Register the worker for this wall's address, or remove it where the server's settings switch it off. */
export async function startWorker() {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return; // as without TLS
  const { worker } = root.dataset;
  try {
    if (worker) {
      const policy = trustedTypes?.createPolicy("boards", { createScriptURL: (/** @type {string} */ url) => url });
      await serviceWorker.register(policy?.createScriptURL(worker) ?? worker, { scope: location.pathname });
    } else {
      const registration = await serviceWorker.getRegistration();
      await registration?.unregister();
      await caches.delete(CACHE);
    }
  } catch (error) {
    console.warn("boards: no copy of this wall is kept for when the network is away:", error);
  }
}

/** Store a copy of the page, if one is due. @param {string} state - of the page @param {number} aheadMs - of the server's clock */
export async function keepCopy(state, aheadMs) {
  if (!navigator.serviceWorker?.controller) return;
  const isPublic = root.dataset.isKept !== undefined;
  if (state === "refused" || !isPublic) {
    if (keptAt !== Number.POSITIVE_INFINITY) await (await caches.open(CACHE)).delete(location.href);
    keptAt = Number.POSITIVE_INFINITY; // until the page is loaded again
    return;
  }
  if (state !== "live" || performance.now() - keptAt < EVERY_MS) return;
  keptAt = performance.now();
  const cache = await caches.open(CACHE);
  const loaded = await cache.match(location.href);
  if (!loaded) return; // the server did not let the worker keep it
  const headers = new Headers({ "Kept-At": String(Date.now()) });
  for (const name of KEPT_HEADERS) {
    const value = loaded.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  await cache.put(location.href, new Response(`<!doctype html>${copyOf(aheadMs)}`, { headers }));
}

/** The page in the state in which its scripts begin. @param {number} aheadMs */
function copyOf(aheadMs) {
  const copy = /** @type {HTMLElement} */ (root.cloneNode(true));
  copy.dataset.ahead = String(Math.round(aheadMs));
  delete copy.dataset.state;
  delete copy.dataset.kept;
  for (const band of copy.querySelectorAll(".wall-band")) band.setAttribute("hidden", "");
  copy.querySelector("live-notices")?.replaceChildren();
  return copy.outerHTML;
}
