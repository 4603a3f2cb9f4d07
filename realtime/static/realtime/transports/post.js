/** A call by POST, for ways that only listen. */

/**
 * @param {import("./transport.js").Environment} env
 * @param {{id: number, action: string, args: object}} call
 * @param {(reply: object) => void} onReply - with the call's id; not called when nobody answered
 */
export async function post(env, { id, action, args }, onReply) {
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
    // Whether it was carried out nobody knows; the caller's own deadline says so.
  }
}
