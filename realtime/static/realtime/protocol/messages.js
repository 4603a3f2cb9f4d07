/**
 * The messages on the wire as types (docs/protocol.md). It contains no code, so browsers do not load it.
 *
 * @typedef {"rows" | "html" | "signal" | "rows+html" | "rows+signal" | "html+signal" | "rows+html+signal"} Format
 * @typedef {{topic: string, format: Format, position: string | null}} Subscription - what a page follows, and the
 *   position of the rows it has
 * @typedef {{key: string, order: string, row?: object, html?: string, digest?: number}} Row
 * @typedef {{op: "delete", key: string}} Delete
 * @typedef {{op: "upsert"} & Row} Upsert
 * @typedef {Delete | Upsert} Change
 *
 * @typedef {{type: "welcome", heartbeat_seconds: number, max_message_bytes?: number,
 *   acknowledge_bytes?: number, max_broadcast_bytes?: number}} Welcome
 * @typedef {{type: "snapshot", topic: string, position: string, rows: Row[], more: boolean,
 *   signal?: number, spread_seconds?: number}} Snapshot
 * @typedef {{type: "changes", topic: string, after: number, position: string, changes: Change[],
 *   digest?: number, signal?: number | null, spread_seconds?: number}} Changes
 * @typedef {{type: "heartbeat", positions?: Record<string, string>, digests?: Record<string, number>,
 *   behind_seconds?: number}} Heartbeat
 * @typedef {{code?: number | null, message: string, fields?: Record<string, string[]>}} Refusal
 * @typedef {{type: "reply", id: number, ok?: unknown, error?: Refusal}} Reply
 * @typedef {{type: "notice", text: string, topic?: string}} Notice
 * @typedef {{type: "presence", topic: string, viewers: number, names?: string[]}} Presence
 * @typedef {{type: "broadcast", topic: string, event: string, payload?: unknown, data?: string, sender?: string,
 *   name?: string}} Broadcast - data is base64; sender and name are set by the server
 * @typedef {{type: "error", code: number, message: string, topic?: string}} ErrorMessage
 * @typedef {{type: "bye", code: number, reason: string, retry_after_seconds?: number}} Bye
 * @typedef {Welcome | Snapshot | Changes | Heartbeat | Reply | Notice | Presence | Broadcast | ErrorMessage |
 *   Bye} ServerMessage
 *
 * @typedef {{type: "subscribe", topic: string, format: Format, position?: string}} Subscribe
 * @typedef {{type: "unsubscribe", topic: string}} Unsubscribe
 * @typedef {{type: "call", id: number, action: string, args: object}} Call
 * @typedef {{type: "ping"}} Ping
 * @typedef {{type: "ack", received: number}} Ack
 * @typedef {Subscribe | Unsubscribe | Call | Ping | Ack | Broadcast} ClientMessage
 */

export {};
