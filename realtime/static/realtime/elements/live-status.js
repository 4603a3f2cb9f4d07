/**
 * `<live-status>`: a badge that shows whether the page is live, and since when it is not; style sheets use its
 * `data-state`, one of the states of `realtime.status` (docs/feeds.md).
 */

/** @import { Realtime } from "../realtime.js" */
/** @import { Status } from "../status.js" */

/** @type {Record<Status["state"], (status: Status) => string>} */
const LABELS = {
  connecting: () => text("connecting"),
  live: ({ transport }) => {
    if (transport === "sse") return text("live (SSE)");
    return transport === "poll" ? text("live (polling)") : text("live");
  },
  behind: () => text("behind"),
  stale: () => text("not current"),
  reconnecting: () => text("reconnecting"),
  offline: () => text("offline"),
  refused: () => text("no longer allowed"),
  misplaced: () => text("not live"),
  stopped: ({ reason }) => text("stopped: {reason}", { reason }),
};

import { text } from "../texts.js";
import { PageElement } from "./page-element.js";

export class LiveStatus extends PageElement {
  /** Set where the element is defined. @type {Realtime} */
  static realtime;
  #output = document.createElement("output");

  #show = () => {
    const { status } = LiveStatus.realtime;
    this.dataset.state = status.state;
    this.dataset.transport = status.transport ?? "";
    const label = document.createElement("span");
    label.textContent = LABELS[status.state](status);
    /** @type {(string | Node)[]} */
    const parts = [label];
    // Refused rows are not shown, so there is no age to show.
    if (status.since !== null && status.state !== "refused")
      parts.push(" ", asOf(status.since, LiveStatus.realtime.now));
    const fresh = document.createElement("output");
    fresh.append(...parts);
    // Set only if it differs: a screen reader announces every new text.
    fresh.setAttribute("aria-live", "polite");
    if (!this.#output.isEqualNode(fresh)) this.#output.replaceChildren(...fresh.childNodes);
    this.#explain();
  };

  #explain = () => {
    const { silenceSeconds, status } = LiveStatus.realtime;
    const seconds = Math.round(silenceSeconds ?? 0);
    const last = silenceSeconds === null ? text("no message yet") : text("last message {seconds} s ago", { seconds });
    const positions = [...document.querySelectorAll("live-topic[position]")].map((each) =>
      text("{topic} at {position}", { topic: each.getAttribute("topic"), position: each.getAttribute("position") }),
    );
    const transport = status.transport ? [text("connected by {transport}", { transport: status.transport })] : [];
    const faults = Object.entries(status.topics)
      .filter(([, { state, reason }]) => state !== "live" && reason)
      .map(([topic, { reason }]) => `${topic}: ${reason}`);
    const reason = status.state === "live" || !status.reason || faults.length > 0 ? [] : [status.reason];
    this.title = [last, ...transport, ...reason, ...faults, ...new Set(positions)].join("\n");
  };

  connectedCallback() {
    this.#output.setAttribute("aria-live", "polite");
    this.replaceChildren(this.#output);
    LiveStatus.realtime.on("status", this.#show);
    // The seconds change all the time, so they are computed only when a reader points at the badge.
    this.addEventListener("pointerenter", this.#explain);
    this.#show();
  }

  disconnectedCallback() {
    LiveStatus.realtime.off("status", this.#show);
    this.removeEventListener("pointerenter", this.#explain);
  }
}

/** "as of 14:02", with the day if it is not today's; the reader's time zone. @param {number} since @param {number} now */
function asOf(since, now) {
  const [at, today] = [new Date(since), new Date(now)];
  /** @type {Intl.DateTimeFormatOptions} */
  const format = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (at.toDateString() !== today.toDateString()) Object.assign(format, { day: "numeric", month: "short" });
  const element = document.createElement("span");
  const words = document.createElement("span");
  const time = document.createElement("time");
  element.className = "realtime-as-of";
  time.dateTime = at.toISOString();
  time.textContent = new Intl.DateTimeFormat(undefined, format).format(at);
  words.textContent = text("as of");
  element.append(words, " ", time);
  return element;
}
