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
  switch (code) {
    case 4401:
      return "sign-in";
    case 1013:
      return "later";
    case 4404:
    case 4410:
      return "gone";
    case 1008:
      // What was asked for does not fit this terminal; the state says what does.
      return "gone";
    case 1001:
    case 1006:
    case 1011:
    case 1012:
      return "away";
    default:
      // 4xxx is the Tower's own word and final; a handshake that was refused shows as 1006 and is not.
      return opened && code >= 4400 && code < 4500 ? "gone" : "away";
  }
}
