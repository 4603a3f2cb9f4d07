/** The digest of a topic: the xor of the 32-bit digests of its rows, whatever their order. Pure. */

/**
 * @param {Iterable<number | undefined>} digests - of the rows
 * @returns {number | null} null if a row has none: it is from a server without digests, so nothing can be compared
 */
export function combine(digests) {
  let all = 0;
  for (const digest of digests) {
    if (digest === undefined) return null;
    all ^= digest;
  }
  return all >>> 0;
}
