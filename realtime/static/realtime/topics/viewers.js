/** The viewers of a topic, as its presence messages have them, and how they differ from those before. Pure. */

/** @import { Presence } from "../protocol/messages.js" */

/**
 * @typedef {{viewers: number, names: string[], joined: string[], left: string[]}} Viewers - viewers: how many connections,
 *   this page's included; names: of those that have one; joined and left: what has changed in the names
 */

/**
 * @param {Viewers | null} before
 * @param {Presence} message
 * @returns {Viewers | null} null if that is known already
 */
export function viewersAfter(before, { viewers, names = [] }) {
  const [old, now] = [new Set(before?.names), new Set(names)];
  const joined = names.filter((name) => !old.has(name));
  const left = [...old].filter((name) => !now.has(name));
  if (before?.viewers === viewers && joined.length === 0 && left.length === 0) return null;
  return { viewers, names, joined, left };
}
