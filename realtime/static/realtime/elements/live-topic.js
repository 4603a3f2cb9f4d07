/**
 * `<live-topic topic="entries.7" position="9f1c2e07.481">`: rows painted by the server that follow the database.
 *
 * Attributes: `topic` and `position` from the server; `position` stays that of the rows shown; `state` is "loading",
 * "live", "stale" or "refused". The rows are the children with `data-key` of the first `[data-rows]` inside, or of the
 * element itself; `[data-empty]` shows while there are none.
 * Events, all bubbling: `realtime:snapshot` and `realtime:changes` before the rows change (detail: the message; who
 * prevents the default has shown it itself), `realtime:applied` after (detail: topic, position), `realtime:error`.
 */

import { Rows } from "./rows.js";

export class LiveTopic extends HTMLElement {
  /** Set by who defines the element. @type {import("../realtime.js").Realtime} */
  static realtime;
  #rows;
  #topic = null;
  #isFollowing = false;
  /** Outlives the element's stay in the document: back again, it goes on from where it was. */
  #follower = {
    position: null,
    onSnapshot: (message) => {
      const isFirst = !this.getAttribute("position");
      this.#show(message, (rows) => rows.replace(message.rows, { isFirst }));
    },
    onChanges: (message) => this.#show(message, (rows) => rows.apply(message.changes)),
    onError: (message) => this.#complain(message),
    onState: (state) => this.#enter(state),
  };

  connectedCallback() {
    if (this.#isFollowing) return;
    // Read once: another topic would be other rows, so another element.
    this.#topic ??= this.getAttribute("topic");
    this.#follower.position ??= this.getAttribute("position") || null;
    this.#follower.state = undefined;
    try {
      LiveTopic.realtime.follow(this.#topic, "html", this.#follower);
      this.#isFollowing = true;
    } catch (error) {
      console.error("realtime:", error.message);
      this.#enter("refused");
      this.#complain({ type: "error", code: 4400, message: error.message, topic: this.#topic });
    }
  }

  disconnectedCallback() {
    // Being moved is to leave and to come back within one task.
    setTimeout(() => {
      if (this.isConnected || !this.#isFollowing) return;
      this.#isFollowing = false;
      LiveTopic.realtime.unfollow(this.#topic, this.#follower);
    });
  }

  #show(message, show) {
    if (this.#announce(message.type, message)) {
      // Not earlier: while the page is still being parsed the rows are not there.
      this.#rows ??= new Rows(this.querySelector("[data-rows]") ?? this, this.querySelector("[data-empty]"));
      show(this.#rows);
    }
    this.setAttribute("position", message.position);
    this.#announce("applied", { topic: message.topic, position: message.position });
  }

  /** Rows that are not followed must not look as if they were. */
  #complain(message) {
    this.#announce("error", message);
    const words = this.querySelector(":scope > .realtime-refused") ?? document.createElement("p");
    words.className = "realtime-refused";
    words.setAttribute("role", "status");
    words.textContent = message.message;
    this.append(words);
  }

  #enter(state) {
    this.setAttribute("state", state);
    if (state === "live") this.querySelector(":scope > .realtime-refused")?.remove();
  }

  #announce(type, detail) {
    return this.dispatchEvent(new CustomEvent(`realtime:${type}`, { bubbles: true, cancelable: true, detail }));
  }
}
