/** A call as a POST request, for transports that only receive. */

/** @import { Call, Reply } from "../protocol/messages.js" */
/** @import { HttpEnvironment } from "./transport.js" */

/**
 * @param {HttpEnvironment} env
 * @param {Call} call
 * @param {(reply: Reply) => void} onReply - not called if no answer arrives
 */
export async function postCall(env, { id, action, args }, onReply) {
  try {
    const response = await env.fetch(env.paths.calls, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ action, args }),
    });
    const { ok, error, errors } = await response.json();
    const refused = error ?? errors?.[0];
    onReply({ type: "reply", id, ...(refused ? { error: refused } : { ok }) });
  } catch {
    // Whether the server ran the action is unknown; the call's own deadline reports that no answer arrived.
  }
}
