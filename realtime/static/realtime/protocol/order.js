/**
 * Compare two rows for the order of their topic: by `order`, code unit by code unit, then by key. Pure.
 * @param {{order: string, key: string}} a
 * @param {{order: string, key: string}} b
 * @returns {number} negative if `a` precedes `b`, for `Array.prototype.sort`
 */
export function compareRows(a, b) {
  if (a.order !== b.order) return a.order < b.order ? -1 : 1;
  if (a.key === b.key) return 0;
  return a.key < b.key ? -1 : 1;
}
