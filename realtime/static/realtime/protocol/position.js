/** Positions on the wire, `<epoch>.<offset>`: reading and comparing them. Pure. */

/**
 * Split a position. The offset is a number, exact up to 2 ** 53, because `changes.after` is a JSON number anyway.
 * @param {string} text
 * @returns {{epoch: string, offset: number}}
 */
export function parse(text) {
  const dot = text.indexOf(".");
  return { epoch: text.slice(0, dot), offset: Number(text.slice(dot + 1)) };
}

/**
 * Whether rows at `mine` lack a change that rows at `theirs` have. True for different epochs, because their positions
 * do not compare.
 * @param {string | null} mine
 * @param {string} theirs
 */
export function isBehind(mine, theirs) {
  if (mine === null) return true;
  const [a, b] = [parse(mine), parse(theirs)];
  return a.epoch !== b.epoch || a.offset < b.offset;
}

/**
 * The position that all of these have in common, or null if they differ: then a snapshot is needed. Resuming from the
 * oldest would be wrong: a row that was added and deleted between two of them is shown at the newer one, and no change
 * since the older one removes it.
 * @param {(string | null)[]} positions
 */
export function commonPosition(positions) {
  return positions.every((position) => position === positions[0]) ? (positions[0] ?? null) : null;
}

/**
 * How a page with rows at `mine` handles a `changes` message (docs/protocol.md, "How a client stays exact").
 * @param {string | null} mine
 * @param {{after: number, position: string}} message
 * @returns {"drop" | "apply" | "gap"}
 */
export function verdict(mine, message) {
  // Without rows the server will send a snapshot; what arrives before it belongs to an earlier subscription.
  if (mine === null) return "drop";
  const [held, next] = [parse(mine), parse(message.position)];
  if (held.epoch !== next.epoch) return "gap";
  if (next.offset <= held.offset) return "drop";
  return message.after <= held.offset ? "apply" : "gap";
}
