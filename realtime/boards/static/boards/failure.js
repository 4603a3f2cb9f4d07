/** Why an action on a board failed, in words for its editor. */

import { text } from "./texts.min.js";

const FIRST_OF_SERVER = 4_000;

/** @param {unknown} error - of a call: codes below 4000, and none, are those of a connection without an answer */
export function reasonOf(error) {
  const {
    message,
    fields = {},
    code,
  } = /** @type {import("../../../static/realtime/transports/calls.js").CallError} */ (error);
  if (error instanceof Error && error.name === "CallError" && (code ?? 0) < FIRST_OF_SERVER)
    return text("the server has not answered. Check whether it was done, then try again.");
  return Object.values(fields).flat().join(" ") || message;
}
