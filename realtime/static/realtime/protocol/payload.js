/** The payload of a broadcast: a JSON value, or binary data, which is base64 on the wire. Pure. */

/** @import { Broadcast } from "./messages.js" */

/** @param {unknown} payload @returns {{data: string} | {payload: unknown}} */
export function contentsOf(payload) {
  const bytes = payload instanceof ArrayBuffer ? new Uint8Array(payload) : null;
  const view = ArrayBuffer.isView(payload)
    ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)
    : bytes;
  return view ? { data: btoa(Array.from(view, (byte) => String.fromCharCode(byte)).join("")) } : { payload };
}

/** The length that the server limits: of the payload as JSON, or of the binary data. @param {Broadcast} message */
export function bytesOf({ payload, data }) {
  return data === undefined ? new TextEncoder().encode(JSON.stringify(payload)).length : atob(data).length;
}

/** Return the content of a received broadcast: its payload, or its binary data. @param {Broadcast} message @returns {unknown} */
export function payloadOf({ payload, data }) {
  return data === undefined ? payload : Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}
