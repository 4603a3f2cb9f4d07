/** How long to wait before connecting again. Pure. */

const BASE_MS = 500;
const MAX_MS = 20_000;

/**
 * Wait before reconnect number `attempt`, in milliseconds (0 = the first).
 * Full jitter: uniform over [0, min(MAX_MS, BASE_MS * 2 ** attempt)).
 * @param {number} attempt
 * @param {() => number} random - uniform over [0, 1); tests pass a fixed one
 */
export function delay(attempt, random = Math.random) {
  return random() * Math.min(MAX_MS, BASE_MS * 2 ** attempt);
}
