/** The state of the page: the worst of its connection and its topics, and since when it is not current. Pure. */

/** @import { TopicState, TopicStatus } from "./topics/topic.js" */
/** @import { Status as ConnectionStatus } from "./transports/connection.js" */

/**
 * @typedef {ConnectionStatus["state"] | Exclude<TopicState, "loading">} PageState - the worst of the connection's and the topics'
 * @typedef {Omit<ConnectionStatus, "state"> & {state: PageState, since: number | null,
 *   topics: Record<string, TopicStatus>}} Status - since: when the page was last current, in milliseconds, null while it is
 */

/** From best to worst. @type {TopicState[]} */
const RANKS = ["live", "loading", "behind", "stale", "refused", "misplaced"];

/**
 * @param {ConnectionStatus} connection
 * @param {Record<string, TopicStatus>} topics
 * @param {number} lastCurrent - when the page was last known to be current
 * @param {boolean} isLate - the page has waited for the server for too long to look current
 * @returns {Status}
 */
export function pageStatus(connection, topics, lastCurrent, isLate) {
  if (connection.state !== "live") {
    const since = connection.state === "connecting" && !isLate ? null : lastCurrent;
    return { ...connection, since, topics };
  }
  /** @type {TopicStatus} */
  let worst = { state: "live", since: null, reason: connection.reason };
  for (const topic of Object.values(topics)) {
    if (RANKS.indexOf(topic.state) > RANKS.indexOf(worst.state)) worst = topic;
    else if (topic.state === worst.state && isEarlier(topic.since, worst.since)) worst = topic;
  }
  const isLoading = worst.state === "loading";
  return {
    ...connection,
    state: worst.state === "loading" ? "connecting" : worst.state,
    since: isLoading && !isLate ? null : worst.since,
    reason: worst.reason,
    topics,
  };
}

/** @param {number | null} a @param {number | null} b */
function isEarlier(a, b) {
  return a !== null && b !== null && a < b;
}
