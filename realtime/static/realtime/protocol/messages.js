/** The messages on the wire as types (docs/protocol.md). It contains no code, so browsers do not load it. */

/**
 * @template [R=any] - the type of the fields, which `manage.py realtime_types` declares for each feed
 * @typedef {{key: string, order: string, row: R, html?: string, digest?: number}} Row - of a topic: `row` has the feed's
 *   fields, where the format is one with rows; `html` is the rendered row
 */

/**
 * @typedef {"rows" | "html" | "signal" | "rows+html" | "rows+signal" | "html+signal" | "rows+html+signal"} Format - what a
 *   subscriber receives: rows as objects, as HTML, and signals that something may have changed
 * @typedef {{topic: string, format: Format, position: string | null}} Subscription - what a page follows, and the
 *   position of the rows it has
 * @typedef {{op: "delete", key: string}} Delete - a row is gone
 * @typedef {{op: "upsert"} & Row} Upsert - a row is new or has changed
 * @typedef {Delete | Upsert} Change - of one row
 *
 * @typedef {{type: "welcome", heartbeat_seconds: number, max_message_bytes?: number,
 *   acknowledge_bytes?: number, max_broadcast_bytes?: number}} Welcome - the first message, with what the
 *   server accepts
 * @typedef {{type: "snapshot", topic: string, position: string, rows: Row[], more: boolean,
 *   signal?: number, spread_seconds?: number}} Snapshot - all rows of a topic
 * @typedef {{type: "changes", topic: string, after: number, position: string, changes: Change[],
 *   digest?: number, signal?: number | null, spread_seconds?: number}} Changes - of a topic since `after`
 * @typedef {{type: "heartbeat", positions?: Record<string, string>, digests?: Record<string, number>,
 *   behind_seconds?: number}} Heartbeat - where each topic is
 * @typedef {{code?: number | null, message: string, fields?: Record<string, string[]>}} Refusal - of a call;
 *   `fields` has the messages of its form
 * @typedef {{type: "reply", id: number, ok?: unknown, error?: Refusal}} Reply - to a call
 * @typedef {{type: "notice", text: string, topic?: string}} Notice - a text for the reader of the page
 * @typedef {{type: "presence", topic: string, viewers: number, names?: string[]}} Presence - who follows a topic
 * @typedef {{type: "broadcast", topic: string, event: string, payload?: unknown, data?: string, sender?: string,
 *   name?: string}} Broadcast - data is base64; sender and name are set by the server
 * @typedef {{type: "error", code: number, message: string, topic?: string}} ErrorMessage - something is refused
 * @typedef {{type: "bye", code: number, reason: string, retry_after_seconds?: number, reload?: boolean}} Bye - the
 *   connection ends
 * @typedef {Welcome | Snapshot | Changes | Heartbeat | Reply | Notice | Presence | Broadcast | ErrorMessage |
 *   Bye} ServerMessage - what a server sends
 *
 * @typedef {{type: "subscribe", topic: string, format: Format, position?: string}} Subscribe - follow a topic
 * @typedef {{type: "unsubscribe", topic: string}} Unsubscribe - follow it no longer
 * @typedef {{type: "call", id: number, action: string, args: object}} Call - run an action
 * @typedef {{type: "ping"}} Ping - request a heartbeat
 * @typedef {{type: "ack", received: number}} Ack - how many messages were received
 * @typedef {Subscribe | Unsubscribe | Call | Ping | Ack | Broadcast} ClientMessage - what a page sends
 */

export {};
