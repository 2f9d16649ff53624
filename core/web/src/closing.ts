// What the end of a WebSocket means. The Tower says it by a close code, which is all that a browser shows.

export type Closing =
  /** The Tower or the line went away: come back with the place that was reached. */
  | "away"
  /** The terminal's holder does not answer the Tower: ask again, not at once. */
  | "later"
  /** This terminal is no more: read the state again and go on with its successor, if there is one. */
  | "gone"
  /** The cookie is not good any more: sign in again. */
  | "sign-in";

/** Say what a close code means. `opened` tells whether the socket ever was open. */
export function classifyClose(code: number, opened: boolean): Closing {
  if (code === 4401) return "sign-in";
  if (code === 1013) return "later";
  // 44xx are the Tower's own words, and final; 1008 says that what was asked for does not fit.
  if (code === 1008 || (code >= 4400 && code < 4500)) return "gone";
  // An upgrade that was refused with a 4xx looks like one that nobody answered: the state tells which it was.
  return opened ? "away" : "gone";
}
