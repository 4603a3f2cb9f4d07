/**
 * Close codes: what each one means and how a page reacts to it. The range of a code decides whether the page
 * reconnects (docs/protocol.md, "Close codes").
 */

const STOPS = "stops, shows the reason";
const RECONNECTS = "reconnects with backoff, resumes";
const RECONNECTS_LATER = "reconnects after the announced delay";

/** @type {Record<number, {means: string, page: string}>} */
const CODES = {
  1000: { means: "normal end", page: RECONNECTS },
  1001: { means: "the other side is going away", page: RECONNECTS },
  1005: { means: "closed without a code", page: RECONNECTS },
  1006: { means: "connection lost or never established", page: RECONNECTS },
  1009: { means: "message too long", page: RECONNECTS },
  1011: { means: "server error", page: RECONNECTS },
  1012: { means: "server restarts", page: RECONNECTS },
  1013: { means: "try again later", page: RECONNECTS },
  4400: { means: "bad message", page: STOPS },
  4401: { means: "signed out", page: "checks the page over HTTP once" },
  4403: { means: "forbidden", page: STOPS },
  4404: { means: "no such topic, action or address", page: STOPS },
  4500: { means: "internal error", page: RECONNECTS },
  4508: { means: "too slow: the connection did not read what it was sent", page: RECONNECTS },
  4510: { means: "closed by an operator", page: RECONNECTS_LATER },
  4512: { means: "draining: this server is stopping", page: RECONNECTS_LATER },
  4529: { means: "too much: over a limit", page: RECONNECTS_LATER },
};

export const BAD_MESSAGE = 4400;
export const SIGNED_OUT = 4401;

/**
 * Whether a page stops after this code instead of reconnecting.
 * @param {number | null} code - null: the page itself ended the connection
 */
export function isFinal(code) {
  return code !== null && code >= 4400 && code < 4500;
}

/**
 * The table's entry for a code; for an unknown code, the rule of its range.
 * @param {number | null} code
 */
export function describe(code) {
  return (code !== null && CODES[code]) || { means: "not in the table", page: isFinal(code) ? STOPS : RECONNECTS };
}
