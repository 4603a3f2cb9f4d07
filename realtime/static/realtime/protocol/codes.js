/** Close codes: what each means and what a page does then. The range is the rule (docs/protocol.md, "Close codes"). */

const STOPS = "stops, shows the reason";
const COMES_BACK = "reconnects with backoff, resumes";
const COMES_BACK_LATER = "reconnects after the announced delay";

/** @type {Record<number, {means: string, page: string}>} */
export const CODES = {
  1000: { means: "normal end", page: COMES_BACK },
  1001: { means: "the other side goes away", page: COMES_BACK },
  1005: { means: "closed without a code", page: COMES_BACK },
  1006: { means: "connection lost, or never made", page: COMES_BACK },
  1009: { means: "message too long", page: COMES_BACK },
  1011: { means: "server error", page: COMES_BACK },
  1012: { means: "server restarts", page: COMES_BACK },
  1013: { means: "try again later", page: COMES_BACK },
  4400: { means: "bad message", page: STOPS },
  4401: { means: "signed out", page: "checks the page over HTTP once" },
  4403: { means: "forbidden", page: STOPS },
  4404: { means: "no such topic, action or address", page: STOPS },
  4500: { means: "internal error", page: COMES_BACK },
  4508: { means: "too slow: the connection did not read what it was sent", page: COMES_BACK },
  4512: { means: "draining: this server is stopping", page: COMES_BACK_LATER },
  4529: { means: "too much: over a limit", page: COMES_BACK_LATER },
};

export const SIGNED_OUT = 4401;

/** Whether this code means "do not just retry". @param {number | null} code */
export function isFinal(code) {
  return code !== null && code >= 4400 && code < 4500;
}

/** The table's line for a code; one it does not know gets the rule of its range. @param {number} code */
export function describe(code) {
  return CODES[code] ?? { means: "not in the table", page: isFinal(code) ? STOPS : COMES_BACK };
}
