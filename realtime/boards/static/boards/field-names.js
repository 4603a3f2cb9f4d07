/** The names of an entry's fields. */

import { text } from "./texts.min.js";

/** @type {Record<string, string>} */
export const fieldNames = {
  label: text("label"),
  value: text("value"),
  unit: text("unit"),
  status: text("status"),
  note: text("note"),
};
