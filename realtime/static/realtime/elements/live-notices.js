/** `<live-notices>`: words from the server to the reader, newest first, until they are dismissed. */

const MAX_NOTICES = 5;

export class LiveNotices extends HTMLElement {
  /** Set by who defines the element. @type {import("../realtime.js").Realtime} */
  static realtime;
  #show = ({ text }) => {
    this.prepend(card(text));
    while (this.childElementCount > MAX_NOTICES) this.lastElementChild.remove();
  };

  connectedCallback() {
    this.setAttribute("role", "status");
    LiveNotices.realtime.on("notice", this.#show);
  }

  disconnectedCallback() {
    LiveNotices.realtime.off("notice", this.#show);
  }
}

function card(text) {
  const notice = document.createElement("div");
  const words = document.createElement("p");
  const dismiss = document.createElement("button");
  notice.className = "realtime-notice";
  words.textContent = text;
  dismiss.type = "button";
  dismiss.textContent = "×";
  dismiss.setAttribute("aria-label", "Dismiss this notice");
  dismiss.addEventListener("click", () => notice.remove());
  notice.append(words, dismiss);
  return notice;
}
