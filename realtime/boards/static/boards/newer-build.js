/** On the pages of users: one of another build than the server's loads again, and no form is sent twice. */

/** @import { Realtime } from "../../../static/realtime/realtime.js" */

import "./sent-once.js";
import { followBuild } from "./wall/build.js";

const { realtime } = /** @type {{realtime?: Realtime}} */ (
  /** @type {unknown} */ (customElements.get("live-topic") ?? {})
);
if (realtime) followBuild(realtime);
