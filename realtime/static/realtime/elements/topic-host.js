/**
 * Rows rendered by the server that follow the database, in an element of the page: a `<live-topic>`, or any element with
 * `data-realtime-topic`. docs/feeds.md lists the attributes and the events.
 *
 * The rows are the children with `data-key` of the first `[data-rows]` inside, or of the element itself; `[data-empty]` is
 * shown while there are none.
 */

/** @import { Changes, ErrorMessage, Snapshot } from "../protocol/messages.js" */
/** @import { Realtime } from "../realtime.js" */
/** @import { Follower, FollowerState } from "../topics/topic.js" */

import { isFinal } from "../protocol/codes.js";
import { text } from "../texts.js";
import { checkPainted, MisplacedError, showWords } from "./placement.js";
import { Rows } from "./rows.js";

export class TopicHost {
  #element;
  #realtime;
  #prefix;
  #topic;
  /** @type {Rows | null} */
  #rows = null;
  #isFollowing = false;
  /** Its rows stand where they cannot be kept current. @type {{topic: string, state: "misplaced", reason: string} | null} */
  #fault = null;
  /** The text for readers in place of rows. @type {Element | null} */
  #words = null;
  /** A listener shows the rows, so their state is unknown. */
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
      const isFirst = !this.#get("position");
      let hasChanged = false;
      this.#show(message, (rows) => {
        hasChanged = rows.replace(message.rows, { isFirst });
      });
      return hasChanged;
    },
    onChanges: (message) => this.#show(message, (rows) => rows.apply(message.changes)),
    onError: (message) => this.#refuse(message),
    onCorrected: () => this.#announce("corrected", { topic: this.#topic, position: this.#get("position") }),
    onState: (state) => this.#setState(state),
  };

  /**
   * @param {HTMLElement} element
   * @param {Realtime} realtime
   * @param {string} prefix - of its attributes `topic`, `position`, `rows` and `state`
   */
  constructor(element, realtime, prefix) {
    this.#element = element;
    this.#realtime = realtime;
    this.#prefix = prefix;
    // Read once: another topic has other rows, so it needs another element.
    this.#topic = this.#get("topic") ?? "";
  }

  connect() {
    if (this.#isFollowing) return;
    this.#follower.position ??= this.#get("position") || null;
    this.#follower.state = undefined;
    // While the page is being parsed, the rows are not there yet.
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.#checkRows());
    else this.#checkRows();
    if (this.#fault) {
      this.#realtime.setFault(this, this.#fault);
      return;
    }
    this.#realtime.follow(this.#topic, this.#follower);
    this.#isFollowing = true;
  }

  disconnect() {
    this.#realtime.setFault(this, null);
    this.#unfollow();
  }

  #unfollow() {
    if (!this.#isFollowing) return;
    this.#isFollowing = false;
    this.#realtime.unfollow(this.#topic, this.#follower);
  }

  #shownRows() {
    this.#rows ??= new Rows(this.#topic, this.#container(), this.#element.querySelector("[data-empty]"));
    return this.#rows;
  }

  #container() {
    return this.#element.querySelector("[data-rows]") ?? this.#element;
  }

  /** @param {string} name */
  #get(name) {
    return this.#element.getAttribute(this.#prefix + name);
  }

  /** See that the rows which the server has rendered are where they can be kept current. */
  #checkRows() {
    try {
      checkPainted(this.#element, this.#container(), Number(this.#get("rows") ?? 0));
      if (this.#element.querySelector("[data-key]")) this.#shownRows();
    } catch (error) {
      if (!(error instanceof MisplacedError)) throw error;
      this.#misplaced(error);
    }
    // Of the first paint only: later the element may have no rows, and still be in its place.
    this.#element.removeAttribute(`${this.#prefix}rows`);
  }

  /** Report that the rows cannot be live, in the page and in the console. @param {MisplacedError} error */
  #misplaced(error) {
    if (this.#fault) return;
    this.#fault = { topic: this.#topic, state: "misplaced", reason: error.message };
    console.error(`realtime: the rows of ${this.#topic} are not live:`, this.#element, error.message);
    this.#unfollow();
    this.#setState("misplaced");
    this.#realtime.setFault(this, this.#fault);
    this.#tell(text("These rows do not follow later changes. Reload the page to see them."));
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
    this.#element.setAttribute(`${this.#prefix}position`, message.position);
    this.#announce("applied", { topic: message.topic, position: message.position });
  }

  /** Show that the rows are not followed; remove them if the visitor may not read them. @param {ErrorMessage} error */
  #refuse(error) {
    this.#announce("error", error);
    if (isFinal(error.code)) {
      this.#shownRows().clear();
      this.#element.removeAttribute(`${this.#prefix}position`);
    }
    this.#tell(error.message);
  }

  /** @param {string} text */
  #tell(text) {
    this.#words?.remove();
    this.#words = showWords(this.#element, text);
  }

  /** @param {FollowerState | "misplaced"} state */
  #setState(state) {
    this.#element.setAttribute(`${this.#prefix}state`, state);
    if (state === "live" || state === "behind") this.#words?.remove();
  }

  /** @param {string} type @param {object} detail @returns {boolean} whether no listener prevented the default */
  #announce(type, detail) {
    return this.#element.dispatchEvent(
      new CustomEvent(`realtime:${type}`, { bubbles: true, cancelable: true, detail }),
    );
  }
}
