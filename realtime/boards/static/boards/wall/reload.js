/** Loading the page again, once the server answers: an unattended screen must not end on a browser's error page. */

const AGAIN_MS = 10_000;

let isPlanned = false;

/** Load this page again as soon as the server answers for it. */
export async function reloadWhenReachable() {
  if (isPlanned) return;
  isPlanned = true;
  while (!(await isReachable())) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  location.reload();
}

async function isReachable() {
  try {
    return (await fetch(location.href, { method: "HEAD", cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/**
 * The text kept under a name for this tab, beyond its reloads; null if there is none.
 * @param {string} name
 */
export function remembered(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} text @returns {boolean} whether it is kept */
export function remember(name, text) {
  try {
    sessionStorage.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}
