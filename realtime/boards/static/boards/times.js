/** The times on a board's page: `<board-time>`, by the server's clock. */

import "./board-time.js";
import { followServerClock } from "./wall/server-clock.js";

followServerClock();
