/** On the pages of viewers and editors: one of another build than the server's loads again. */

/** @import { Realtime } from "../../../static/realtime/realtime.js" */

import { followBuild } from "./wall/build.js";

const { realtime } = /** @type {{realtime?: Realtime}} */ (
  /** @type {unknown} */ (customElements.get("live-topic") ?? {})
);
if (realtime) followBuild(realtime);
