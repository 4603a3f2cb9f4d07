/** `<live-status>`: a badge that says whether the page is live; `data-state` says it to style sheets. */

const WORDS = {
  connecting: () => "connecting",
  live: ({ transport }) => ({ sse: "live (SSE)", poll: "live (polling)" })[transport] ?? "live",
  reconnecting: () => "reconnecting",
  offline: () => "offline",
  stopped: ({ reason }) => `stopped: ${reason}`,
};

export class LiveStatus extends HTMLElement {
  /** Set by who defines the element. @type {import("../realtime.js").Realtime} */
  static realtime;
  #output = document.createElement("output");
  #show = () => {
    const { status } = LiveStatus.realtime;
    const words = WORDS[status.state](status);
    this.dataset.state = status.state;
    this.dataset.transport = status.transport ?? "";
    // Said only when it differs: a screen reader repeats every new text.
    if (this.#output.textContent !== words) this.#output.textContent = words;
    this.#explain();
  };
  #explain = () => {
    const { silenceSeconds, status } = LiveStatus.realtime;
    const heard = silenceSeconds === null ? "nothing heard yet" : `last heard ${Math.round(silenceSeconds)} s ago`;
    const positions = [...document.querySelectorAll("live-topic[position]")].map(
      (element) => `${element.getAttribute("topic")} at ${element.getAttribute("position")}`,
    );
    const by = status.transport ? [`connected by ${status.transport}`] : [];
    const why = status.state === "live" || !status.reason ? [] : [status.reason];
    this.title = [heard, ...by, ...why, ...new Set(positions)].join("\n");
  };

  connectedCallback() {
    this.#output.setAttribute("aria-live", "polite");
    this.replaceChildren(this.#output);
    LiveStatus.realtime.on("status", this.#show);
    // The seconds matter to who looks; nobody is told them.
    this.addEventListener("pointerenter", this.#explain);
    this.#show();
  }

  disconnectedCallback() {
    LiveStatus.realtime.off("status", this.#show);
    this.removeEventListener("pointerenter", this.#explain);
  }
}
