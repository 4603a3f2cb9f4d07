/** `<live-status>`: a badge that shows whether the page is live; style sheets use its `data-state`. */

/** @import { Realtime } from "../realtime.js" */
/** @import { Status } from "../transports/connection.js" */

/** @type {Record<Status["state"], (status: Status) => string>} */
const LABELS = {
  connecting: () => "connecting",
  live: ({ transport }) => {
    if (transport === "sse") return "live (SSE)";
    return transport === "poll" ? "live (polling)" : "live";
  },
  reconnecting: () => "reconnecting",
  offline: () => "offline",
  stopped: ({ reason }) => `stopped: ${reason}`,
};

export class LiveStatus extends HTMLElement {
  /** Set where the element is defined. @type {Realtime} */
  static realtime;
  #output = document.createElement("output");

  #show = () => {
    const { status } = LiveStatus.realtime;
    const label = LABELS[status.state](status);
    this.dataset.state = status.state;
    this.dataset.transport = status.transport ?? "";
    // Set only if it differs: a screen reader announces every new text.
    if (this.#output.textContent !== label) this.#output.textContent = label;
    this.#explain();
  };

  #explain = () => {
    const { silenceSeconds, status } = LiveStatus.realtime;
    const last = silenceSeconds === null ? "no message yet" : `last message ${Math.round(silenceSeconds)} s ago`;
    const positions = [...document.querySelectorAll("live-topic[position]")].map(
      (element) => `${element.getAttribute("topic")} at ${element.getAttribute("position")}`,
    );
    const transport = status.transport ? [`connected by ${status.transport}`] : [];
    const reason = status.state === "live" || !status.reason ? [] : [status.reason];
    this.title = [last, ...transport, ...reason, ...new Set(positions)].join("\n");
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
