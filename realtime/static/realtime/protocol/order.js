/**
 * The order of a topic's rows: by `order`, code unit by code unit; ties by key. Pure.
 * @param {{order: string, key: string}} a
 * @param {{order: string, key: string}} b
 */
export function inOrder(a, b) {
  if (a.order !== b.order) return a.order < b.order ? -1 : 1;
  if (a.key === b.key) return 0;
  return a.key < b.key ? -1 : 1;
}
