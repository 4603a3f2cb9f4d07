/** Opens the page's connection while the client is still being loaded: `early.min.js`, inline in the head of a page. */

import { openEarly } from "./transports/early.js";

openEarly().catch(() => {}); // a browser may forbid storage
