/** The formats of a subscription: `rows`, `html` and `signal`, joined by "+" (docs/protocol.md). Pure. */

/** @import { Format } from "./messages.js" */

const PARTS = ["rows", "html", "signal"];

/**
 * The format that has all that these have.
 * @param {Iterable<string>} formats
 * @returns {Format}
 */
export function combined(formats) {
  const wanted = new Set([...formats].flatMap((format) => format.split("+")));
  return /** @type {Format} */ (PARTS.filter((part) => wanted.has(part)).join("+"));
}

/** The contents of rows in a format; empty for signals alone. @param {string} format */
export function contentsOf(format) {
  return PARTS.slice(0, 2)
    .filter((part) => format.split("+").includes(part))
    .join("+");
}
