/**
 * `<live-topic topic="entries.7" position="9f1c2e07.481" rows="12">`: rows rendered by the server that follow the database.
 *
 * Attributes: `topic`, `position` and `rows` (how many it rendered) from the server; `position` is always that of the rows
 * shown; `state` is "loading", "live", "behind", "stale", "refused" or "misplaced" (docs/feeds.md).
 * Events, all bubbling: `realtime:snapshot` and `realtime:changes` before the rows change (detail: the message; a
 * listener that calls `preventDefault` shows it itself), `realtime:applied` after (detail: topic, position),
 * `realtime:corrected` when a snapshot has corrected rows that were wrong (detail: topic, position), `realtime:error`
 * (detail: the message).
 */

/** @import { Realtime } from "../realtime.js" */

import { PageElement } from "./page-element.js";
import { TopicHost } from "./topic-host.js";

export class LiveTopic extends PageElement {
  /** Set where the element is defined. @type {Realtime} */
  static realtime;
  /** @type {TopicHost | null} */
  #host = null;

  connectedCallback() {
    this.#host ??= new TopicHost(this, LiveTopic.realtime, "");
    this.#host.connect();
  }

  disconnectedCallback() {
    // An element that is moved is disconnected and connected again within one task.
    setTimeout(() => {
      if (!this.isConnected) this.#host?.disconnect();
    });
  }
}
