/**
 * The page's entry point: it connects when it is loaded. `live.min.js` is the same in one file. A page may load both, or
 * one of them twice: the copy that runs first opens the connection, and all copies export it.
 */

import { connect } from "./client.js";

// Where there is no page, nothing happens: a server that renders components may import it.
const realtime = typeof document === "undefined" ? undefined : connect();

export default /** @type {import("./realtime.js").Realtime} */ (realtime);
