/**
 * A part of a page that is fetched again with its page when one of its topics changes: an element with
 * `data-realtime-block`, its name, which `{% live_block %}` renders. Without a name it only dispatches `realtime:changed`.
 *
 * Attributes: `data-realtime-topics`, and `data-realtime-position`: the server's data for it is not older. While it is
 * fetched it is `aria-busy`; `data-realtime-stale` says why it is old.
 * Events, all bubbling: `realtime:changed` before it is fetched (detail: name, topics; `preventDefault` leaves that to the
 * listener), `realtime:before-morph` (detail: name, element; `preventDefault` keeps the present content) and
 * `realtime:after-morph`, `realtime:error` (detail: name, message).
 */

/** @import { Changes, ErrorMessage, Snapshot } from "../protocol/messages.js" */
/** @import { Realtime } from "../realtime.js" */
/** @import { Follower } from "../topics/topic.js" */
/** @import { PageFetches } from "./page-fetches.js" */

import { isFinal } from "../protocol/codes.js";
import { isBehind, parse } from "../protocol/position.js";
import { morph } from "./morph.js";
import { showWords } from "./placement.js";

const POSITION = "data-realtime-position";
const STALE = "data-realtime-stale";

/** @typedef {{follower: Follower, read: string | null, reached: string | null, asked: string | null}} Followed - positions:
 *   of what is shown, of the topic's last change, and of that when the page was fetched */

export class LiveBlock {
  #element;
  #realtime;
  #fetches;
  /** The element as the server has rendered it. @type {Element} */
  #base;
  /** @type {Map<string, Followed>} */
  #topics = new Map();
  /** The text for readers in its place. @type {Element | null} */
  #words = null;
  /** Whether the fetch that has begun still counts: since then the block has been neither refused nor disconnected. */
  #isAwaiting = false;
  /** Over how many seconds the pages that show these topics spread their fetches. */
  spreadSeconds = 0;

  /** @param {HTMLElement} element @param {Realtime} realtime @param {PageFetches} fetches */
  constructor(element, realtime, fetches) {
    this.#element = element;
    this.#realtime = realtime;
    this.#fetches = fetches;
    this.#base = /** @type {Element} */ (element.cloneNode(true));
  }

  get name() {
    return this.#element.getAttribute("data-realtime-block") ?? "";
  }

  connect() {
    this.#follow();
  }

  disconnect() {
    this.#cancel();
    this.#element.removeAttribute("aria-busy");
    this.#words?.remove();
    // If the element returns to the page, it gets another host, which fetches what this one has not fetched.
    if (this.#isBehind) this.#element.removeAttribute(POSITION);
    this.#realtime.setFault(this, null);
    for (const [topic, { follower }] of this.#topics) this.#realtime.unfollow(topic, follower);
    this.#topics.clear();
  }

  /** Whether the page that was fetched since `begin` lacks this block. */
  get needsAnother() {
    return this.#isAwaiting && this.#isBehind;
  }

  /** Whether a topic may have changed since what is shown was read. */
  get #isBehind() {
    return [...this.#topics.values()].some(({ read, reached }) => reached !== null && isBehind(read, reached));
  }

  /** A fetch begins. @returns {boolean} whether this block needs the page */
  begin() {
    for (const topic of this.#topics.values()) topic.asked = topic.reached;
    const detail = { name: this.name, topics: [...this.#topics.keys()] };
    if (this.#announce("changed", detail) && this.name) {
      this.#element.setAttribute("aria-busy", "true");
      this.#isAwaiting = true;
      return true;
    }
    for (const topic of this.#topics.values()) topic.read = topic.asked;
    return false;
  }

  /** Show what a page that was fetched since `begin` has. @param {Document} page @throws {Error} if it has no such block */
  show(page) {
    if (!this.#isAwaiting) return;
    const [found, ...others] = page.querySelectorAll(`[data-realtime-block="${CSS.escape(this.name)}"]`);
    if (!found) throw new Error(`the page has no block "${this.name}" any more; reload it`);
    if (others.length > 0) throw new Error(`several blocks are called "${this.name}"; give each a name of its own`);
    const fresh = document.importNode(found, true);
    const base = /** @type {Element} */ (fresh.cloneNode(true));
    const position = fresh.getAttribute(POSITION) || null;
    const detail = { name: this.name, element: fresh };
    if (fresh.tagName === this.#element.tagName && this.#announce("before-morph", detail)) {
      morph(this.#element, this.#base, fresh);
      this.#base = base;
      this.#announce("after-morph", { name: this.name });
    }
    const isOld = [...this.#topics.values()].some(({ asked }) => position && asked && isBehind(position, asked));
    // Without a position: the view has read everything that had been sequenced when the page was requested.
    for (const topic of this.#topics.values()) topic.read = position ?? topic.asked;
    this.#follow();
    this.#words?.remove();
    if (isOld) throw new Error("the page is older than the change that it was fetched for; is it cached?");
    this.#end(null);
  }

  /** The page that was fetched since `begin` could not be shown. @param {string} reason */
  failed(reason) {
    if (this.#isAwaiting) this.#fail(reason);
  }

  /** Neither fetch the page for this block, nor show the page that is being fetched. */
  #cancel() {
    this.#fetches.forget(this);
    this.#isAwaiting = false;
  }

  /** @param {string} reason */
  #fail(reason) {
    this.#announce("error", { name: this.name, message: reason });
    this.#end(reason);
  }

  /** @param {string | null} reason - why it is stale */
  #end(reason) {
    this.#element.removeAttribute("aria-busy");
    if (reason === null) this.#element.removeAttribute(STALE);
    else this.#element.setAttribute(STALE, reason);
    const fault = { topic: `block ${this.name}`, state: /** @type {const} */ ("stale"), reason: reason ?? "" };
    this.#realtime.setFault(this, reason === null ? null : fault);
  }

  /** Follow the topics that the element names now. */
  #follow() {
    const names = (this.#element.getAttribute("data-realtime-topics") ?? "").split(/\s+/).filter(Boolean);
    for (const [name, { follower }] of this.#topics) {
      if (names.includes(name)) continue;
      this.#realtime.unfollow(name, follower);
      this.#topics.delete(name);
    }
    for (const name of names) if (!this.#topics.has(name)) this.#followTopic(name);
  }

  /** @param {string} name */
  #followTopic(name) {
    /** @type {Follower} */
    const follower = {
      format: "signal",
      position: null,
      onSnapshot: (message) => {
        this.#note(topic, message);
        return false;
      },
      onChanges: (message) => this.#note(topic, message),
      onError: (message) => this.#refuse(message),
    };
    /** @type {Followed} */
    const topic = {
      follower,
      read: this.#element.getAttribute(POSITION) || null,
      reached: null,
      asked: null,
    };
    this.#topics.set(name, topic);
    this.#realtime.follow(name, follower);
  }

  /** @param {Followed} topic @param {Snapshot | Changes} message */
  #note(topic, { type, position, signal, spread_seconds = 0 }) {
    const { epoch, offset } = parse(position);
    // Changes that the log lacks, such as those of the time: whether the page had them, no position says.
    if (signal === null || (type === "snapshot" && topic.reached !== null)) topic.read = null;
    topic.reached = `${epoch}.${signal ?? offset}`;
    this.spreadSeconds = spread_seconds;
    if (this.#isBehind) this.#fetches.request(this);
    else if (this.#element.hasAttribute(STALE)) this.#end(null);
  }

  /** Hide content that the visitor may no longer read. @param {ErrorMessage} error */
  #refuse({ code, message }) {
    this.#fail(message);
    if (!isFinal(code)) return;
    // A page under way may have been rendered while the right held; the topic's next message asks for another.
    this.#cancel();
    for (const topic of this.#topics.values()) topic.read = null;
    this.#element.removeAttribute(POSITION);
    this.#element.replaceChildren();
    this.#base = /** @type {Element} */ (this.#element.cloneNode(true));
    this.#words?.remove();
    this.#words = showWords(this.#element, message);
  }

  /** @param {string} type @param {object} detail @returns {boolean} whether no listener prevented the default */
  #announce(type, detail) {
    return this.#element.dispatchEvent(
      new CustomEvent(`realtime:${type}`, { bubbles: true, cancelable: true, detail }),
    );
  }
}
