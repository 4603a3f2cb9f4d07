/** `<live-notices>`: notices from the server, newest first, until the reader dismisses them. */

/** @import { Notice } from "../protocol/messages.js" */
/** @import { Realtime } from "../realtime.js" */

const MAX_NOTICES = 5;

import { text } from "../texts.js";
import { PageElement } from "./page-element.js";

export class LiveNotices extends PageElement {
  /** Set where the element is defined. @type {Realtime} */
  static realtime;

  /** @param {Notice} notice */
  #show = (notice) => {
    this.prepend(noticeElement(notice.text));
    while (this.childElementCount > MAX_NOTICES) this.lastElementChild?.remove();
  };

  connectedCallback() {
    this.setAttribute("role", "status");
    LiveNotices.realtime.on("notice", this.#show);
  }

  disconnectedCallback() {
    LiveNotices.realtime.off("notice", this.#show);
  }
}

/** @param {string} words */
function noticeElement(words) {
  const notice = document.createElement("div");
  const paragraph = document.createElement("p");
  const dismiss = document.createElement("button");
  notice.className = "realtime-notice";
  paragraph.textContent = words;
  dismiss.type = "button";
  dismiss.textContent = "×";
  dismiss.setAttribute("aria-label", text("Dismiss this notice"));
  dismiss.addEventListener("click", () => notice.remove());
  notice.append(paragraph, dismiss);
  return notice;
}
