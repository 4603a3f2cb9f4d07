/**
 * `<live-topic topic="entries.7" position="9f1c2e07.481" rows="12">`: rows rendered by the server that follow the database.
 *
 * Attributes: `topic`, `position` and `rows` (how many it rendered) from the server; `position` is always that of the rows
 * shown; `state` is "loading", "live", "behind", "stale", "refused" or "misplaced" (docs/feeds.md). The rows are the
 * children with `data-key` of the first `[data-rows]` inside, or of the element itself; `[data-empty]` is shown while there
 * are none.
 * Events, all bubbling: `realtime:snapshot` and `realtime:changes` before the rows change (detail: the message; a
 * listener that calls `preventDefault` shows it itself), `realtime:applied` after (detail: topic, position),
 * `realtime:corrected` when a snapshot has corrected rows that were wrong (detail: topic, position), `realtime:error`
 * (detail: the message).
 */

/** @import { Changes, ErrorMessage, Snapshot } from "../protocol/messages.js" */
/** @import { Realtime } from "../realtime.js" */
/** @import { Follower, FollowerState } from "../topics/topic.js" */

import { isFinal } from "../protocol/codes.js";
import { checkPainted, MisplacedError, words } from "./placement.js";
import { Rows } from "./rows.js";

export class LiveTopic extends HTMLElement {
  /** Set where the element is defined. @type {Realtime} */
  static realtime;
  /** @type {Rows | null} */
  #rows = null;
  /** @type {string | null} */
  #topic = null;
  #isFollowing = false;
  /** Its rows stand where they cannot be kept current. @type {{topic: string, state: "misplaced", reason: string} | null} */
  #fault = null;
  /** A listener shows the rows, so what they are is unknown. */
  #isShownByListener = false;
  /**
   * Kept while the element is not in the document: when it returns, it resumes from its position.
   * @type {Follower}
   */
  #follower = {
    format: "html",
    position: null,
    digest: () => (this.#isShownByListener ? null : this.#shownRows().digest()),
    onSnapshot: (message) => {
      const isFirst = !this.getAttribute("position");
      let hasChanged = false;
      this.#show(message, (rows) => {
        hasChanged = rows.replace(message.rows, { isFirst });
      });
      return hasChanged;
    },
    onChanges: (message) => this.#show(message, (rows) => rows.apply(message.changes)),
    onError: (message) => this.#refuse(message),
    onCorrected: () => this.#announce("corrected", { topic: this.#topic, position: this.getAttribute("position") }),
    onState: (state) => this.#setState(state),
  };

  connectedCallback() {
    if (this.#isFollowing) return;
    // Read once: another topic has other rows, so it needs another element.
    this.#topic ??= this.getAttribute("topic") ?? "";
    this.#follower.position ??= this.getAttribute("position") || null;
    this.#follower.state = undefined;
    // While the page is being parsed, the rows are not there yet.
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.#checkRows());
    else this.#checkRows();
    if (this.#fault) {
      LiveTopic.realtime.setFault(this, this.#fault);
      return;
    }
    LiveTopic.realtime.follow(this.#topic, this.#follower);
    this.#isFollowing = true;
  }

  disconnectedCallback() {
    // An element that is moved is disconnected and connected again within one task.
    setTimeout(() => {
      if (this.isConnected) return;
      LiveTopic.realtime.setFault(this, null);
      this.#unfollow();
    });
  }

  #unfollow() {
    if (!this.#isFollowing) return;
    this.#isFollowing = false;
    LiveTopic.realtime.unfollow(this.#topic ?? "", this.#follower);
  }

  #shownRows() {
    this.#rows ??= new Rows(this.#topic ?? "", this.#container(), this.querySelector("[data-empty]"));
    return this.#rows;
  }

  #container() {
    return this.querySelector("[data-rows]") ?? this;
  }

  /** See that the rows which the server has rendered are where they can be kept current. */
  #checkRows() {
    try {
      checkPainted(this, this.#container(), Number(this.getAttribute("rows") ?? 0));
      if (this.querySelector("[data-key]")) this.#shownRows();
    } catch (error) {
      if (!(error instanceof MisplacedError)) throw error;
      this.#misplaced(error);
    }
    // Of the first paint only: later the element may have no rows, and still be in its place.
    this.removeAttribute("rows");
  }

  /** Report that the rows cannot be live, in the page and in the console. @param {MisplacedError} error */
  #misplaced(error) {
    if (this.#fault) return;
    this.#fault = { topic: this.#topic ?? "", state: "misplaced", reason: error.message };
    console.error(`realtime: the rows of ${this.#topic} are not live:`, this, error.message);
    this.#unfollow();
    this.#setState("misplaced");
    LiveTopic.realtime.setFault(this, this.#fault);
    this.querySelector(":scope > .realtime-refused")?.remove();
    this.append(words());
  }

  /** @param {Snapshot | Changes} message @param {(rows: Rows) => void} show */
  #show(message, show) {
    if (this.#announce(message.type, message)) {
      try {
        show(this.#shownRows());
      } catch (error) {
        if (!(error instanceof MisplacedError)) throw error;
        this.#misplaced(error);
        return;
      }
      if (message.type === "snapshot") this.#isShownByListener = false;
    } else {
      this.#isShownByListener = true;
    }
    this.setAttribute("position", message.position);
    this.#announce("applied", { topic: message.topic, position: message.position });
  }

  /** Show that the rows are not followed; remove them if the visitor may not read them. @param {ErrorMessage} error */
  #refuse(error) {
    this.#announce("error", error);
    if (isFinal(error.code)) {
      this.#shownRows().clear();
      this.removeAttribute("position");
    }
    const paragraph = this.querySelector(":scope > .realtime-refused") ?? document.createElement("p");
    paragraph.className = "realtime-refused";
    paragraph.setAttribute("role", "status");
    paragraph.textContent = error.message;
    this.append(paragraph);
  }

  /** @param {FollowerState | "misplaced"} state */
  #setState(state) {
    this.setAttribute("state", state);
    if (state === "live" || state === "behind") this.querySelector(":scope > .realtime-refused")?.remove();
  }

  /** @param {string} type @param {object} detail @returns {boolean} whether no listener prevented the default */
  #announce(type, detail) {
    return this.dispatchEvent(new CustomEvent(`realtime:${type}`, { bubbles: true, cancelable: true, detail }));
  }
}
