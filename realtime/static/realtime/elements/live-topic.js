/**
 * `<live-topic topic="entries.7" position="9f1c2e07.481">`: rows rendered by the server that follow the database.
 *
 * Attributes: `topic` and `position` from the server; `position` is always that of the rows shown; `state` is "loading",
 * "live", "stale" or "refused". The rows are the children with `data-key` of the first `[data-rows]` inside, or of the
 * element itself; `[data-empty]` is shown while there are none.
 * Events, all bubbling: `realtime:snapshot` and `realtime:changes` before the rows change (detail: the message; a
 * listener that calls `preventDefault` shows it itself), `realtime:applied` after (detail: topic, position),
 * `realtime:error` (detail: the message).
 */

/** @import { Changes, ErrorMessage, Snapshot } from "../protocol/messages.js" */
/** @import { Realtime } from "../realtime.js" */
/** @import { Follower, FollowerState } from "../topics/topic.js" */

import { BAD_MESSAGE } from "../protocol/codes.js";
import { Rows } from "./rows.js";

export class LiveTopic extends HTMLElement {
  /** Set where the element is defined. @type {Realtime} */
  static realtime;
  /** @type {Rows | null} */
  #rows = null;
  /** @type {string | null} */
  #topic = null;
  #isFollowing = false;
  /**
   * Kept while the element is not in the document: when it returns, it resumes from its position.
   * @type {Follower}
   */
  #follower = {
    position: null,
    onSnapshot: (message) => {
      const isFirst = !this.getAttribute("position");
      this.#show(message, (rows) => rows.replace(message.rows, { isFirst }));
    },
    onChanges: (message) => this.#show(message, (rows) => rows.apply(message.changes)),
    onError: (message) => this.#showError(message),
    onState: (state) => this.#setState(state),
  };

  connectedCallback() {
    if (this.#isFollowing) return;
    // Read once: another topic has other rows, so it needs another element.
    this.#topic ??= this.getAttribute("topic") ?? "";
    this.#follower.position ??= this.getAttribute("position") || null;
    this.#follower.state = undefined;
    try {
      LiveTopic.realtime.follow(this.#topic, "html", this.#follower);
      this.#isFollowing = true;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      console.error("realtime: this <live-topic> is not live:", this, message);
      this.#setState("refused");
      this.#showError({ type: "error", code: BAD_MESSAGE, message, topic: this.#topic });
    }
  }

  disconnectedCallback() {
    // An element that is moved is disconnected and connected again within one task.
    setTimeout(() => {
      if (this.isConnected || !this.#isFollowing) return;
      this.#isFollowing = false;
      LiveTopic.realtime.unfollow(this.#topic ?? "", this.#follower);
    });
  }

  /** @param {Snapshot | Changes} message @param {(rows: Rows) => void} show */
  #show(message, show) {
    if (this.#announce(message.type, message)) {
      // Not earlier: while the page is being parsed, the rows are not there yet.
      this.#rows ??= new Rows(this.querySelector("[data-rows]") ?? this, this.querySelector("[data-empty]"));
      show(this.#rows);
    }
    this.setAttribute("position", message.position);
    this.#announce("applied", { topic: message.topic, position: message.position });
  }

  /** Show that the rows are not followed. @param {ErrorMessage} error */
  #showError(error) {
    this.#announce("error", error);
    const paragraph = this.querySelector(":scope > .realtime-refused") ?? document.createElement("p");
    paragraph.className = "realtime-refused";
    paragraph.setAttribute("role", "status");
    paragraph.textContent = error.message;
    this.append(paragraph);
  }

  /** @param {FollowerState} state */
  #setState(state) {
    this.setAttribute("state", state);
    if (state === "live") this.querySelector(":scope > .realtime-refused")?.remove();
  }

  /** @param {string} type @param {object} detail @returns {boolean} whether no listener prevented the default */
  #announce(type, detail) {
    return this.dispatchEvent(new CustomEvent(`realtime:${type}`, { bubbles: true, cancelable: true, detail }));
  }
}
