/** Times as they are in a board's time zone, whatever that of the screen is. */

/**
 * @typedef {object} Zone
 * @property {string} name - such as Europe/Oslo
 * @property {number} offsetSeconds - ahead of UTC when the page was loaded: for browsers that do not know the name
 */

/**
 * @param {Zone} zone
 * @param {Intl.DateTimeFormatOptions} options
 * @param {number} at - milliseconds since 1970
 * @param {string} language
 */
export function format({ name, offsetSeconds }, options, at, language = document.documentElement.lang) {
  try {
    return new Intl.DateTimeFormat(language, { ...options, timeZone: name }).format(at);
  } catch {
    return new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" }).format(at + offsetSeconds * 1000);
  }
}

/** "14:02" @param {Zone} zone @param {number} at */
export function clock(zone, at) {
  return format(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, at);
}

/** "Thursday 26 November" @param {Zone} zone @param {number} at */
export function date(zone, at) {
  return format(zone, { weekday: "long", day: "numeric", month: "long" }, at).replace(",", "");
}

/** "Thursday" @param {Zone} zone @param {number} at */
export function weekday(zone, at) {
  return format(zone, { weekday: "long" }, at);
}

/**
 * Whether a time is in the hours from one to another, which may be past midnight.
 * @param {Zone} zone @param {number} at @param {string} from @param {string} until - hours, such as "22"; "" for none
 */
export function isBetween(zone, at, from, until) {
  if (from === "" || until === "" || from === until) return false;
  const hour = Number(clock(zone, at).slice(0, 2));
  const [first, last] = [Number(from), Number(until)];
  return first < last ? hour >= first && hour < last : hour >= first || hour < last;
}
